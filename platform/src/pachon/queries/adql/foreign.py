"""What people type of other languages: found before parsing, and answered with the ADQL that says the same."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot.tokenizer_core import Token, TokenType

from pachon.queries.adql import limits
from pachon.queries.adql.gaps import ENDS
from pachon.queries.adql.sexagesimal import degrees_of
from pachon.queries.adql.sky_functions import MOST_READ_CHARS, in_adql
from pachon.queries.adql.text import error_at
from pachon.queries.adql.words import FOREIGN_KEYWORDS

_BUT_SOME = frozenset({"EXCEPT", "EXCLUDE", "REPLACE", "RENAME"})
_MOST_DIGITS = 20
_MAX_SHOWN_CHARS = 120
"""Of somebody's own text within a message."""
_TYPES = {
    **dict.fromkeys(("TEXT", "STRING", "VARCHAR", "NAME"), "VARCHAR"),
    **dict.fromkeys(("INT", "INT4", "INTEGER"), "INTEGER"),
    **dict.fromkeys(("BIGINT", "INT8", "LONG"), "BIGINT"),
    **dict.fromkeys(("SMALLINT", "INT2", "SHORT"), "SMALLINT"),
    **dict.fromkeys(("REAL", "FLOAT4"), "REAL"),
    **dict.fromkeys(("DOUBLE", "FLOAT", "FLOAT8", "NUMERIC", "DECIMAL"), "DOUBLE PRECISION"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPTZ", "DATE", "DATETIME"), "TIMESTAMP"),
    "CHAR": "CHAR",
}
"""Types of other languages, and those of CAST."""
_SIGNS = {
    "==": "equal is '='",
    "=<": "at most is '<='",
    "=>": "at least is '>='",
    "&&": "write AND",
}
"""Pairs of signs that other languages have."""
_STATEMENTS = re.compile(r"(SHOW|DESCRIBE|DESC|EXPLAIN|USE|\\d\w*|\.\w+)\b\s*([\w.]*)", re.IGNORECASE | re.ASCII)
_LISTED = {"", "TABLES", "DATABASES", "SCHEMAS", "SCHEMA", "ALL", "TABLE", "COLUMNS", "FIELDS", "FROM"}
_TABLES = "SELECT table_name, description FROM TAP_SCHEMA.tables"
_COLUMNS = "SELECT column_name, datatype, unit, description FROM TAP_SCHEMA.columns WHERE table_name = "
_OF_PLACES = frozenset({"POINT", "POLYGON", "DISTANCE"})
_SHAPES = _OF_PLACES | {"CIRCLE", "BOX"}
_MOST_READ = 40
"""Words and signs that are read on or back from a place: all texts are read in a time that grows as they do."""
_OPENS = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET})
_CLOSES = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET})
_STAR_STARTS = frozenset({TokenType.SELECT, TokenType.DISTINCT, TokenType.ALL, TokenType.COMMA, TokenType.DOT})
"""Before '*': it means all columns, not a product."""
_GOES_ON = frozenset(
    {
        TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.L_PAREN, TokenType.NOT,
        TokenType.ALL, TokenType.SELECT,
    }
)  # fmt: skip
"""After a word where a name may stand: then it is none."""


def statement_hint(text: str) -> str:
    """What to ask instead of a statement that lists or describes tables; an empty string for other statements."""
    match = _STATEMENTS.match(text)
    if match is None:
        return ""
    word, name = match.group(1).upper(), match.group(2)
    if word == "EXPLAIN":
        return "what a query would cost is told by /api/queries/estimate"
    if word == "USE":
        return "tables are written schema.table; SELECT schema_name FROM TAP_SCHEMA.schemas lists them"
    after_from = re.search(r"\bFROM\s+([\w.]+)", text[:_MAX_SHOWN_CHARS], re.IGNORECASE)
    name = after_from.group(1) if after_from else name
    if name.upper() in _LISTED or len(name) > limits.MAX_NAME_CHARS:
        return f"for the tables write {_TABLES}"
    return f"for its columns write {_COLUMNS}'{name}'"


def check(text: str, tokens: list[Token]) -> None:
    """Refuse what is of another language.

    Raises
    ------
    QuerySyntaxError
        At its place, with the ADQL way.
    """
    finders: dict[TokenType, Callable[[str, list[Token], int], str]] = {
        TokenType.VAR: _word,
        TokenType.COLON: _conversion,
        TokenType.STAR: _but_some,
        TokenType.NOT: _not,
    }
    for number, token in enumerate(tokens):
        found = finders.get(token.token_type, _sign)(text, tokens, number)
        if found:
            raise error_at(text, token.start, found)


def _word(text: str, tokens: list[Token], number: int) -> str:
    word, following = tokens[number].text.upper(), _kind(tokens, number + 1)
    start = tokens[number].start
    if following is TokenType.L_PAREN and word in _SHAPES:
        _check_position(text, tokens, number)
    if following is TokenType.L_PAREN and (written := in_adql(text[start : start + MOST_READ_CHARS])):
        return f"unknown function '{tokens[number].text}'; in ADQL write {written}."
    is_name = number == 0 or tokens[number - 1].token_type not in ENDS
    if is_name or word not in FOREIGN_KEYWORDS or following not in _GOES_ON:
        return ""
    hint = FOREIGN_KEYWORDS[word]
    if word == "LIMIT" and following is TokenType.NUMBER:
        hint = hint.replace("TOP n", f"TOP {tokens[number + 1].text[:_MOST_DIGITS]}")
    return f"unexpected '{tokens[number].text}': {hint}."


def _sign(text: str, tokens: list[Token], number: int) -> str:
    token = tokens[number]
    pair = text[token.start : token.start + 2]
    if pair not in _SIGNS or token.end > token.start or _kind(tokens, number + 1) is None:
        return ""
    return f"ADQL has no '{pair}': {_SIGNS[pair]}."


def _not(text: str, tokens: list[Token], number: int) -> str:
    return "ADQL has no '!': write NOT." if text[tokens[number].start] == "!" else ""


def _but_some(text: str, tokens: list[Token], number: int) -> str:
    """`* EXCLUDE (a, b)` and its relatives."""
    del text
    counted = _kind(tokens, number - 1) is TokenType.NUMBER and _kind(tokens, number - 2) is TokenType.TOP
    if not counted and _kind(tokens, number - 1) not in _STAR_STARTS:
        return ""
    following = tokens[number + 1 : number + 4]
    kinds = [token.token_type for token in following]
    is_set = kinds[2:] in ([TokenType.SELECT], [TokenType.L_PAREN])
    word = following[0].text.upper() if following else ""
    if word in _BUT_SOME and kinds[1:2] == [TokenType.L_PAREN] and not is_set:
        return f"ADQL has no * {word} (...): name the columns that are wanted; TAP_SCHEMA.columns lists them."
    if kinds[:1] in ([TokenType.VAR], [TokenType.IDENTIFIER], [TokenType.ALIAS]):
        return f"after '*' a comma or FROM is expected, not '{following[0].text[: limits.MAX_NAME_CHARS]}'."
    return ""


def _conversion(text: str, tokens: list[Token], number: int) -> str:
    """`x::type` as a CAST of what stands before."""
    if _kind(tokens, number + 1) is not TokenType.COLON:
        return ""
    named = tokens[number + 2].text.upper() if number + 2 < len(tokens) else ""
    operand = _before(text, tokens, number)
    return f"ADQL has no '::': write CAST({operand or 'x'} AS {_TYPES.get(named, 'type')})."


def _check_position(text: str, tokens: list[Token], number: int) -> None:
    """Refuse hours, minutes and seconds among the numbers of the shape that a token names."""
    depth = place = 0
    shape = tokens[number].text.upper()
    for at in range(number + 1, min(number + _MOST_READ, len(tokens))):
        kind = tokens[at].token_type
        depth += (kind in _OPENS) - (kind in _CLOSES)
        if depth == 0:
            return
        place += depth == 1 and kind is TokenType.COMMA
        if depth == 1 and (written := _angle(text, tokens, at)):
            has_frame = (
                tokens[number + 2].token_type is TokenType.STRING
                and at > number + 2
                and not _angle(text, tokens, number + 2)
            )
            coordinate = place - has_frame
            in_hours = coordinate % 2 == 0 and (coordinate == 0 or shape in _OF_PLACES)
            found = degrees_of(written, is_longitude=in_hours)
            message = f"positions are decimal degrees: for '{written}' write {found}."
            raise error_at(text, tokens[at].start, message)


def _angle(text: str, tokens: list[Token], number: int) -> str:
    """The text of hours or degrees, minutes and seconds that begins at a token, in quotes or without; else empty."""
    kind, end = tokens[number].token_type, tokens[number].end
    if kind is TokenType.NUMBER:
        for place in (number + 1, number + 3):
            if _kind(tokens, place) is TokenType.COLON and _kind(tokens, place + 1) is TokenType.NUMBER:
                end = tokens[place + 1].end
    elif kind is not TokenType.STRING:
        return ""
    written = text[tokens[number].start : end + 1].strip("'")
    return written if degrees_of(written, is_longitude=True) else ""


def _before(text: str, tokens: list[Token], number: int) -> str:
    """The value that ends before a token, as it is written; empty if it is long."""
    first, depth = number, 0
    while first and number - first < _MOST_READ:
        kind = tokens[first - 1].token_type
        depth += (kind in _CLOSES) - (kind in _OPENS)
        first -= 1
        if depth == 0 and not _goes_back(tokens, first):
            break
    written = text[tokens[first].start : tokens[number].start].strip()
    return written if depth == 0 and len(written) <= _MAX_SHOWN_CHARS else ""


def _goes_back(tokens: list[Token], number: int) -> bool:
    """Whether the value that has a token begins before it: after a dot, or as the arguments of a call."""
    before, kind = _kind(tokens, number - 1), tokens[number].token_type
    return TokenType.DOT in {before, kind} or (kind is TokenType.L_PAREN and before is TokenType.VAR)


def _kind(tokens: list[Token], number: int) -> TokenType | None:
    return tokens[number].token_type if 0 <= number < len(tokens) else None
