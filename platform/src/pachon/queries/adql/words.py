"""The words of ADQL 2.1 (appendix A of the recommendation)."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

_MOST_NAMED = 8
"""Names in a message."""

_FUNCTION_WORDS = """
ABS ACOS AREA ASIN ATAN ATAN2 BOX CEILING CENTROID CIRCLE CONTAINS COORD1 COORD2 COORDSYS COS COT DEGREES DISTANCE EXP
FLOOR INTERSECTS IN_UNIT LOG LOG10 MOD PI POINT POLYGON POWER RADIANS REGION RAND ROUND SIN SQRT TAN TRUNCATE
AVG CAST COALESCE COUNT LOWER MAX MIN SUM UPPER
"""
_CLAUSE_WORDS = """
ALL AND AS ASC BETWEEN BY DESC DISTINCT EXCEPT EXISTS FALSE FROM FULL GROUP HAVING ILIKE IN INNER INTERSECT IS JOIN LEFT
LIKE NATURAL NOT NULL OFFSET ON OR ORDER OUTER RIGHT SELECT TOP TRUE UNION USING WHERE WITH
"""
_TYPE_WORDS = "BIGINT CHAR DOUBLE INTEGER PRECISION REAL SMALLINT TIMESTAMP VARCHAR"
_UNUSED_WORDS = """
ABSOLUTE ACTION ADD ALLOCATE ALTER ANY ARE ASSERTION AT AUTHORIZATION BEGIN BIT BIT_LENGTH BOTH CASCADE CASCADED CASE
CATALOG CHARACTER CHAR_LENGTH CHARACTER_LENGTH CHECK CLOSE COLLATE COLLATION COLUMN COMMIT CONNECT CONNECTION CONSTRAINT
CONSTRAINTS CONTINUE CONVERT CORRESPONDING CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER
CURSOR DATE DAY DEALLOCATE DECIMAL DECLARE DEFAULT DEFERRABLE DEFERRED DELETE DESCRIBE DESCRIPTOR DIAGNOSTICS DISCONNECT
DOMAIN DROP ELSE END ESCAPE EXCEPTION EXEC EXECUTE EXTERNAL EXTRACT FETCH FIRST FLOAT FOR FOREIGN FOUND GET GLOBAL GO
GOTO GRANT HOUR IDENTITY IMMEDIATE INDICATOR INITIALLY INPUT INSENSITIVE INSERT INT INTERVAL INTO ISOLATION KEY LANGUAGE
LAST LEADING LEVEL LOCAL MATCH MINUTE MODULE MONTH NAMES NATIONAL NCHAR NEXT NO NULLIF NUMERIC OCTET_LENGTH OF ONLY OPEN
OPTION OUTPUT OVERLAPS PAD PARTIAL POSITION PREPARE PRESERVE PRIMARY PRIOR PRIVILEGES PROCEDURE PUBLIC READ REFERENCES
RELATIVE RESTRICT REVOKE ROLLBACK ROWS SCHEMA SCROLL SECOND SECTION SESSION SESSION_USER SET SIZE SOME SPACE SQL SQLCODE
SQLERROR SQLSTATE SUBSTRING SYSTEM_USER TABLE TEMPORARY THEN TIME TIMEZONE_HOUR TIMEZONE_MINUTE TO TRAILING TRANSACTION
TRANSLATE TRANSLATION TRIM UNIQUE UNKNOWN UPDATE USAGE USER VALUE VALUES VARYING VIEW WHEN WHENEVER WORK WRITE YEAR ZONE
"""

FUNCTION_NAMES = frozenset(_FUNCTION_WORDS.split())
CLAUSE_KEYWORDS = frozenset(_CLAUSE_WORDS.split())
TYPE_NAMES = frozenset(_TYPE_WORDS.split())
UNUSED_RESERVED = frozenset(_UNUSED_WORDS.split())
RESERVED = FUNCTION_NAMES | CLAUSE_KEYWORDS | TYPE_NAMES | UNUSED_RESERVED

FOREIGN_KEYWORDS = {
    "LIMIT": "ADQL limits rows with SELECT TOP n",
    "DATE": "a moment is written CAST('2026-01-31' AS TIMESTAMP), and a column of that name in double quotes",
    "FIRST": "ADQL has no NULLS FIRST: rows without a value come last; as a name it stands in double quotes",
    "LAST": "ADQL has no NULLS LAST: rows without a value come last anyway; as a name it stands in double quotes",
    "FETCH": "ADQL limits rows with SELECT TOP n",
    "CASE": "ADQL 2.1 has no CASE",
    "CROSS": "ADQL has no CROSS JOIN: separate the tables with a comma",
    "QUALIFY": "ADQL has no window functions",
    "OVER": "ADQL has no window functions",
    "TABLESAMPLE": "ADQL has no TABLESAMPLE: for one row in a hundred, drawn at random, write WHERE RAND() < 0.01",
    "PIVOT": "ADQL has no PIVOT",
    "GLOB": "ADQL has no GLOB: use LIKE",
    "ESCAPE": "ADQL has no ESCAPE: in LIKE, % and _ always are wildcards",
    "MINUS": "ADQL says EXCEPT",
    "NULLIF": "ADQL has no NULLIF",
    "ANY": "ADQL has no ANY: use IN or EXISTS",
    "SOME": "ADQL has no SOME: use IN or EXISTS",
    "VALUES": "ADQL has no VALUES: upload a table",
    "INTO": "ADQL does not write: results go where the request says",
    "SUBSTRING": "ADQL has no SUBSTRING: use LIKE, or CAST(... AS VARCHAR(n))",
    "TRIM": "ADQL has no TRIM",
    "POSITION": "ADQL has no POSITION: use LIKE",
    "EXTRACT": "ADQL has no EXTRACT: use ivo_to_mjd",
    "CURRENT_TIMESTAMP": "ADQL has no present time: write it, as in CAST('2026-01-31' AS TIMESTAMP)",
    "RECURSIVE": "ADQL has no recursive queries",
    "SIMILAR": "ADQL has no regular expressions: use LIKE or ILIKE",
    "RLIKE": "ADQL has no regular expressions: use LIKE or ILIKE",
    "REGEXP": "ADQL has no regular expressions: use LIKE or ILIKE",
}
"""Words of other SQL dialects that people type, and what ADQL says instead."""


FOREIGN_SIGNS = {
    "%": ": the remainder is MOD(x, y)",
    "^": ": a power is POWER(x, y)",
    ":": ": a conversion is CAST(x AS type)",
    "&": ", nor other operations on bits",
    "|": ", nor other operations on bits: texts are joined with ||",
    "~": ", nor other operations on bits or regular expressions",
    "[": ': names are quoted with "',
    "`": ': names are quoted with "',
    "{": " nor {fn ...}",
    "?": ": a query has no parameters",
    "\\": ": a quote inside a string is written twice",
}
"""Signs of other SQL dialects, and what ADQL has instead."""


_PLAIN_LETTERS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", "' around texts, \" around names"),
    **dict.fromkeys("\u00d7\u2217\u22c5\u00b7", "*"),
    **dict.fromkeys("\u00f7\u2215\u2044", "/"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", "nothing"),
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "<>",
}
"""Characters of text processors and web pages, and what ADQL has in their place."""


def plain_hint(letter: str) -> str:
    """`: write -` for a character that stands for one of ADQL, or an empty string."""
    plain = _PLAIN_LETTERS.get(letter) or unicodedata.normalize("NFKC", letter)
    if plain == " ":
        return ": write a plain space"
    return f": write {plain}" if plain.isascii() else ""


def listing(names: Sequence[str]) -> str:
    """The first few names, and how many there are more."""
    shown = ", ".join(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"


def suggestion(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`; did you mean A or B?` for the nearest known words, or an empty string."""
    spelled = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), spelled, n=3, cutoff=cutoff)
    return f"; did you mean {' or '.join(spelled[key] for key in near)}?" if near else ""
