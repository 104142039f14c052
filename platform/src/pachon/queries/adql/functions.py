"""The functions of ADQL 2.1 (sections 2.3 and 4.2): names, arguments, results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pachon.core.fields import DataType, Field
from pachon.queries.plan import AggregateOp, Op


class Kind(StrEnum):
    """Kinds of argument, as named in messages."""

    NUMBER = "a number"
    INTEGER = "a whole number"
    STRING = "a string"
    TIMESTAMP = "a timestamp"


@dataclass(frozen=True, slots=True)
class Signature:
    """A plain function.

    Parameters
    ----------
    required
        How many of `kinds` must be given.
    result
        Type of the result; None: the type of the first argument.
    """

    op: Op
    kinds: tuple[Kind, ...]
    required: int
    result: DataType | None = DataType.DOUBLE
    unit: str | None = None


def _numbers(op: Op, count: int = 1, result: DataType | None = DataType.DOUBLE, unit: str | None = None) -> Signature:
    return Signature(op, (Kind.NUMBER,) * count, count, result, unit)


PLAIN: dict[str, Signature] = {
    "ABS": _numbers(Op.ABS, result=None),
    "CEILING": _numbers(Op.CEILING),
    "FLOOR": _numbers(Op.FLOOR),
    "DEGREES": _numbers(Op.DEGREES, unit="deg"),
    "RADIANS": _numbers(Op.RADIANS, unit="rad"),
    "EXP": _numbers(Op.EXP),
    "LOG": _numbers(Op.LN),
    "LOG10": _numbers(Op.LOG10),
    "PI": _numbers(Op.PI, 0),
    "POWER": _numbers(Op.POWER, 2),
    "SQRT": _numbers(Op.SQRT),
    "ROUND": Signature(Op.ROUND, (Kind.NUMBER, Kind.INTEGER), 1),
    "TRUNCATE": Signature(Op.TRUNCATE, (Kind.NUMBER, Kind.INTEGER), 1),
    "RAND": Signature(Op.RANDOM, (Kind.NUMBER,), 0),
    "ACOS": _numbers(Op.ACOS, unit="rad"),
    "ASIN": _numbers(Op.ASIN, unit="rad"),
    "ATAN": _numbers(Op.ATAN, unit="rad"),
    "ATAN2": _numbers(Op.ATAN2, 2, unit="rad"),
    "COS": _numbers(Op.COS),
    "COT": _numbers(Op.COT),
    "SIN": _numbers(Op.SIN),
    "TAN": _numbers(Op.TAN),
    "LOWER": Signature(Op.LOWER, (Kind.STRING,), 1, DataType.CHAR),
    "UPPER": Signature(Op.UPPER, (Kind.STRING,), 1, DataType.CHAR),
}

AGGREGATES: dict[str, AggregateOp] = {
    "COUNT": AggregateOp.COUNT,
    "SUM": AggregateOp.SUM,
    "AVG": AggregateOp.AVG,
    "MIN": AggregateOp.MIN,
    "MAX": AggregateOp.MAX,
    "IVO_STRING_AGG": AggregateOp.STRING_AGG,
}

GEOMETRY = frozenset(
    {
        "POINT", "CIRCLE", "BOX", "POLYGON", "REGION", "CONTAINS", "INTERSECTS", "DISTANCE", "COORD1", "COORD2",
        "COORDSYS", "CENTROID", "AREA",
    }
)  # fmt: skip
MOC = frozenset({"MOC"})
"""Coverage maps as shapes, an addition to ADQL 2.1."""
OTHER = frozenset({"MOD", "COALESCE", "IN_UNIT"})
KNOWN = frozenset(PLAIN) | frozenset(AGGREGATES) | GEOMETRY | MOC | OTHER | {"CAST"}
SYNONYMS = {
    "LN": "LOG(x), the natural logarithm",
    "LOG2": "LOG(x) / LOG(2)",
    "CEIL": "CEILING(x)",
    "TRUNC": "TRUNCATE(x)",
    "POW": "POWER(x, y)",
    "RANDOM": "RAND()",
    "IFNULL": "COALESCE(x, y)",
    "NVL": "COALESCE(x, y)",
    "ISNULL": "x IS NULL, or COALESCE(x, y)",
    "LEFT": "CAST(x AS VARCHAR(n))",
    "SUBSTR": "CAST(x AS VARCHAR(n)) for its beginning, or LIKE",
    "NOW": "the moment itself, as in CAST('2026-01-31' AS TIMESTAMP)",
    "LCASE": "LOWER(x)",
    "UCASE": "UPPER(x)",
    "CONCAT": "x || y",
    "STDDEV": "SQRT(AVG(x * x) - AVG(x) * AVG(x))",
    "STDEV": "SQRT(AVG(x * x) - AVG(x) * AVG(x))",
    "VARIANCE": "AVG(x * x) - AVG(x) * AVG(x)",
    "STRING_AGG": "ivo_string_agg(x, ', ')",
    "GROUP_CONCAT": "ivo_string_agg(x, ', ')",
}
"""Functions of other languages that people type, and what ADQL has."""


def kind_of(field: Field) -> str:
    """What a field is, for messages."""
    if field.xtype in {"point", "circle", "polygon", "moc"}:
        return f"a {field.xtype}"
    if field.datatype is DataType.CHAR:
        return "a string"
    if field.datatype is DataType.TIMESTAMP:
        return "a timestamp"
    if field.datatype is DataType.BOOLEAN:
        return "a truth value"
    return "a number"


def is_number(field: Field) -> bool:
    """Whether a field is a numeric scalar."""
    return field.datatype.is_numeric and field.arraysize is None


def is_string(field: Field) -> bool:
    """Whether a field is text."""
    return field.datatype is DataType.CHAR
