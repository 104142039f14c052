"""User-defined functions (ADQL 2.1, section 4.3), with the names and meanings of the IVOA's catalogue of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pachon.core.fields import DataType, Field
from pachon.queries.adql.constants import number_of, string
from pachon.queries.adql.functions import Kind
from pachon.queries.plan import Call, Expression, Op

_BOOLEAN = Field(name="value", datatype=DataType.BOOLEAN)
_DOUBLE = Field(name="value", datatype=DataType.DOUBLE)
_TEXT = Field(name="value", datatype=DataType.CHAR, arraysize="*")
_JD_OF_MJD_0 = 2_400_000.5


@dataclass(frozen=True, slots=True)
class UserFunction:
    """What capabilities say of a user-defined function: signatures (TAPRegExt 1.0, section 2.3) and what it does."""

    forms: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Composition:
    """A function made of other operations: the kinds of its arguments, and how these are put together."""

    kinds: tuple[Kind, ...]
    build: Callable[..., Expression]


def _flag(name: str, condition: Expression) -> Expression:
    """A truth value as 1 or 0."""
    return Call(Op.CAST, (condition,), Field(name=name, datatype=DataType.INT))


def _has_word(text: Expression, word: Expression) -> Expression:
    return _flag("ivo_hasword", Call(Op.HAS_WORD, (text, word), _BOOLEAN))


def _hashlist_has(words: Expression, word: Expression) -> Expression:
    fenced = (
        Call(Op.CONCAT, (string("#"), Call(Op.LOWER, (each,), _TEXT), string("#")), _TEXT) for each in (words, word)
    )
    return _flag("ivo_hashlist_has", Call(Op.HAS_TEXT, tuple(fenced), _BOOLEAN))


def _no_case_match(text: Expression, pattern: Expression) -> Expression:
    return _flag("ivo_nocasematch", Call(Op.ILIKE, (text, pattern), _BOOLEAN))


def _interval_overlaps(low: Expression, high: Expression, other_low: Expression, other_high: Expression) -> Expression:
    tests = Call(Op.LE, (low, other_high), _BOOLEAN), Call(Op.LE, (other_low, high), _BOOLEAN)
    return _flag("ivo_interval_overlaps", Call(Op.AND, tests, _BOOLEAN))


def _normal_random(mean: Expression, deviation: Expression) -> Expression:
    """By Box and Muller: one minus a random number is never 0."""
    uniform = Call(Op.SUBTRACT, (number_of(1.0), Call(Op.RANDOM, (), _DOUBLE)), _DOUBLE)
    radius = Call(Op.SQRT, (Call(Op.MULTIPLY, (number_of(-2.0), Call(Op.LN, (uniform,), _DOUBLE)), _DOUBLE),), _DOUBLE)
    turn = Call(Op.MULTIPLY, (number_of(2 * math.pi), Call(Op.RANDOM, (), _DOUBLE)), _DOUBLE)
    normal = Call(Op.MULTIPLY, (radius, Call(Op.COS, (turn,), _DOUBLE)), _DOUBLE)
    field = Field(name="ivo_normal_random", datatype=DataType.DOUBLE, unit=mean.field.unit)
    return Call(Op.ADD, (mean, Call(Op.MULTIPLY, (deviation, normal), _DOUBLE)), field)


def _mjd(moment: Expression) -> Expression:
    return Call(Op.MJD, (moment,), Field(name="ivo_to_mjd", datatype=DataType.DOUBLE, unit="d", ucd="time.epoch"))


def _jd(moment: Expression) -> Expression:
    field = Field(name="ivo_to_jd", datatype=DataType.DOUBLE, unit="d", ucd="time.epoch")
    return Call(Op.ADD, (Call(Op.MJD, (moment,), _DOUBLE), number_of(_JD_OF_MJD_0)), field)


_OVERLAPS = (
    "ivo_interval_overlaps(l1 DOUBLE PRECISION, h1 DOUBLE PRECISION, l2 DOUBLE PRECISION, h2 DOUBLE PRECISION)"
    " -> INTEGER"
)

USER_FUNCTIONS = {
    "MOC": UserFunction(
        (
            "MOC(serialisation VARCHAR) -> MOC",
            "MOC(hpxOrder INTEGER, p POINT) -> MOC",
            "MOC(hpxOrder INTEGER, c CIRCLE) -> MOC",
            "MOC(hpxOrder INTEGER, p POLYGON) -> MOC",
        ),
        "A coverage map (MOC 2.0): its text, such as '4/30-33 38 7/324-934', or the cells of an order that a constant "
        "shape touches. CONTAINS and INTERSECTS take it as a shape.",
    ),
    "IVO_HEALPIX_INDEX": UserFunction(
        (
            "ivo_healpix_index(hpxOrder INTEGER, ra DOUBLE PRECISION, dec DOUBLE PRECISION) -> BIGINT",
            "ivo_healpix_index(hpxOrder INTEGER, p POINT) -> BIGINT",
        ),
        "The number of the HEALPix pixel (nested scheme, constant order from 0 to 29) that holds an ICRS position in "
        "degrees. For the main position of a table it is read from the stored index.",
    ),
    "IVO_HASWORD": UserFunction(
        ("ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER",),
        "1 if needle stands in haystack as a word, that is with no letter or digit beside it, whatever the case; else "
        "0.",
    ),
    "IVO_HASHLIST_HAS": UserFunction(
        ("ivo_hashlist_has(hashlist VARCHAR, item VARCHAR) -> INTEGER",),
        "1 if item is one of the words of hashlist, which # separates, whatever the case; else 0.",
    ),
    "IVO_NOCASEMATCH": UserFunction(
        ("ivo_nocasematch(value VARCHAR, pattern VARCHAR) -> INTEGER",),
        "1 if value matches pattern as with ILIKE, else 0.",
    ),
    "IVO_STRING_AGG": UserFunction(
        ("ivo_string_agg(expression VARCHAR, delimiter VARCHAR) -> VARCHAR",),
        "An aggregate: the texts of a group in ascending order with delimiter, a constant, between them; NULLs are "
        "left out. With DISTINCT before the expression each text is taken once.",
    ),
    "IVO_INTERVAL_OVERLAPS": UserFunction(
        (_OVERLAPS,), "1 if the closed intervals from l1 to h1 and from l2 to h2 have a number in common, else 0."
    ),
    "IVO_NORMAL_RANDOM": UserFunction(
        ("ivo_normal_random(mu DOUBLE PRECISION, sigma DOUBLE PRECISION) -> DOUBLE PRECISION",),
        "A random number of the normal distribution with mean mu and standard deviation sigma.",
    ),
    "IVO_TO_JD": UserFunction(
        ("ivo_to_jd(d TIMESTAMP) -> DOUBLE PRECISION",),
        "A timestamp as a Julian Date in days, in the time scale it has.",
    ),
    "IVO_TO_MJD": UserFunction(
        ("ivo_to_mjd(d TIMESTAMP) -> DOUBLE PRECISION",),
        "A timestamp as a Modified Julian Date in days, in the time scale it has.",
    ),
}
"""By name in capitals."""

COMPOSITIONS = {
    "IVO_HASWORD": Composition((Kind.STRING, Kind.STRING), _has_word),
    "IVO_HASHLIST_HAS": Composition((Kind.STRING, Kind.STRING), _hashlist_has),
    "IVO_NOCASEMATCH": Composition((Kind.STRING, Kind.STRING), _no_case_match),
    "IVO_INTERVAL_OVERLAPS": Composition((Kind.NUMBER,) * 4, _interval_overlaps),
    "IVO_NORMAL_RANDOM": Composition((Kind.NUMBER, Kind.NUMBER), _normal_random),
    "IVO_TO_JD": Composition((Kind.TIMESTAMP,), _jd),
    "IVO_TO_MJD": Composition((Kind.TIMESTAMP,), _mjd),
}
"""Those of them that other operations make; `calls` binds the rest."""
