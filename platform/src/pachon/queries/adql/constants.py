"""Constants: literals, what is known of them, and arithmetic between them, as ADQL says."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import datetime

from pachon.core.fields import DataType, Field
from pachon.queries.plan import Call, Expression, Literal, Op

TIMESTAMP_FORM = "YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.SSS][Z]"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?", re.ASCII)
_INT_LIMIT = 2**31
_LONG_LIMIT = 2**63


def number(value: int | float) -> Literal | None:  # noqa: PYI041 -- whole numbers are kept apart
    """A numeric literal; None if it does not fit its type."""
    if isinstance(value, float):
        field = Field(name="value", datatype=DataType.DOUBLE)
        return Literal(value, field) if math.isfinite(value) else None
    if not -_LONG_LIMIT <= value < _LONG_LIMIT:
        return None
    small = -_INT_LIMIT <= value < _INT_LIMIT
    return Literal(value, Field(name="value", datatype=DataType.INT if small else DataType.LONG))


def number_of(value: float) -> Literal:
    """A double that the platform itself puts in."""
    return Literal(value, Field(name="value", datatype=DataType.DOUBLE))


def string(value: str) -> Literal:
    """A string literal."""
    return Literal(value, Field(name="value", datatype=DataType.CHAR, arraysize="*"))


def timestamp(value: str) -> Literal | None:
    """A timestamp literal from ISO text (DALI 1.1, section 3.1.2); None if it is none."""
    if not _TIMESTAMP.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value).replace(tzinfo=None)
    except ValueError:
        return None
    return Literal(moment.isoformat(sep=" "), Field(name="value", datatype=DataType.TIMESTAMP))


def numeric_value(expression: Expression) -> float | None:
    """The value of a numeric literal, as a float."""
    if isinstance(expression, Literal) and expression.field.datatype.is_numeric and expression.value is not None:
        return float(expression.value)
    return None


def is_null(expression: Expression) -> bool:
    """Whether an expression is the word NULL."""
    return isinstance(expression, Literal) and expression.value is None


def as_double(expression: Expression) -> Expression:
    """A number as a double: a literal at once, anything else by a cast."""
    if expression.field.datatype is DataType.DOUBLE:
        return expression
    field = replace(expression.field, datatype=DataType.DOUBLE)
    if isinstance(expression, Literal) and isinstance(expression.value, int):
        return Literal(float(expression.value), field)
    return Call(Op.CAST, (expression,), field)


def as_whole(side: Expression, other: Expression) -> Expression:
    """A decimal without a fraction as a whole number beside one: as doubles, large ids would equal their neighbours."""
    value = side.value if isinstance(side, Literal) else None
    if not isinstance(value, float) or not value.is_integer() or not other.field.datatype.is_integer:
        return side
    return number(int(value)) or side


def truncated(left: Literal, right: Literal) -> int | None:
    """The quotient of two whole numbers if it drops a fraction."""
    a, b = left.value, right.value
    if not isinstance(a, int) or not isinstance(b, int) or not b or a % b == 0:
        return None
    return _quotient(a, b)


def _quotient(a: int, b: int) -> int:
    """A division of whole numbers, towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def fold(op: Op, left: Literal, right: Literal) -> Literal | None:
    """Arithmetic between two numeric literals; None if it is not known beforehand."""
    a, b = left.value, right.value
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return None
    if op is Op.DIVIDE:
        return number(float(a) / float(b)) if b else None
    if op is Op.INTEGER_DIVIDE:
        return number(_quotient(int(a), int(b))) if b else None
    result = {Op.ADD: a + b, Op.SUBTRACT: a - b, Op.MULTIPLY: a * b}.get(op)
    return None if result is None else number(result)
