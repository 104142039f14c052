"""Units (VOUnits 1.0) and UCDs (UCD1+) of computed values, so that results say what they are."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from pachon.core.fields import DataType, Field
from pachon.queries.adql.constants import is_null
from pachon.queries.plan import AggregateOp, Expression, Literal, Op

if TYPE_CHECKING:
    from astropy.units import UnitBase

_MAIN = "meta.main"
_MAX_EXPONENT = 20
"""Of units; beyond it a unit is left out."""
_OF_SAME = {Op.ADD: "arith.sum", Op.SUBTRACT: "arith.diff", Op.DIVIDE: "arith.ratio"}
_STATISTIC = {
    AggregateOp.SUM: "arith.sum",
    AggregateOp.AVG: "stat.mean",
    AggregateOp.MIN: "stat.min",
    AggregateOp.MAX: "stat.max",
}


def arithmetic(op: Op, left: Expression, right: Expression, datatype: DataType) -> Field:
    """The field of a sum, difference, product or quotient.

    A constant has no unit of its own: added, it counts in the unit of the other side; as a factor
    other than 1 it may be a conversion, as 3600 is from degrees, so what the product measures cannot be said.
    """
    if op not in {Op.ADD, Op.SUBTRACT} and (_converts(left) or _converts(right)):
        return Field(name="value", datatype=datatype)
    unit = _sum_unit(left, right) if op in {Op.ADD, Op.SUBTRACT} else _product_unit(op, left, right)
    ucd = left.field.ucd if left.field.ucd == right.field.ucd else None
    kind = _OF_SAME.get(Op.DIVIDE if op is Op.INTEGER_DIVIDE else op)
    return Field(name="value", datatype=datatype, unit=unit, ucd=qualified(ucd, kind) if kind else None)


def joint(first: Expression, second: Expression) -> Field:
    """The field of a column that holds values of both: as wide as both need, of the unit that both have.

    What the first one is said to be goes if the units differ; a constant counts in the unit of the other side.
    """
    one, two = first.field, second.field
    if is_null(first) or is_null(second):
        return replace(two, name=one.name) if is_null(first) else one
    unit = _sum_unit(first, second)
    if unit != one.unit:
        one = replace(one, unit=unit, ucd=None, utype=None, description=None)
    arraysize = one.arraysize if one.arraysize == two.arraysize else "*"
    return replace(one, datatype=_widest(one.datatype, two.datatype), arraysize=arraysize)


def _widest(one: DataType, two: DataType) -> DataType:
    if {one, two} == {DataType.LONG, DataType.FLOAT}:
        return DataType.DOUBLE
    return max(one, two, key=list(DataType).index) if one.is_numeric and two.is_numeric else one


def aggregate(op: AggregateOp, operand: Field) -> Field:
    """The field of an aggregate: the statistic is added to the UCD of what it is made of."""
    name = op.value
    if op is AggregateOp.COUNT:
        return Field(name=name, datatype=DataType.LONG, ucd="meta.number")
    if op is AggregateOp.STRING_AGG:
        return Field(name="ivo_string_agg", datatype=DataType.CHAR, arraysize="*", ucd=qualified(operand.ucd))
    ucd = qualified(operand.ucd, _STATISTIC[op])
    if op in {AggregateOp.MIN, AggregateOp.MAX}:
        return replace(operand, name=name, ucd=ucd, description=None, utype=None)
    datatype = DataType.LONG if op is AggregateOp.SUM and operand.datatype.is_integer else DataType.DOUBLE
    return Field(name=name, datatype=datatype, unit=operand.unit, ucd=ucd)


def qualified(ucd: str | None, word: str | None = None) -> str | None:
    """A UCD with a further word; what is computed is no main column of its table."""
    if ucd is None:
        return None
    words = [each for each in ucd.split(";") if each != _MAIN]
    return ";".join([*words, word] if word and word not in words else words)


def power_unit(base: Expression, exponent: Expression) -> str | None:
    """The unit of a power whose exponent is a constant; None if it cannot be said."""
    if base.field.unit is None or not isinstance(exponent, Literal) or not isinstance(exponent.value, int | float):
        return None
    return _power(base.field.unit, float(exponent.value))


def root_unit(operand: Expression) -> str | None:
    """The unit of a square root."""
    return None if operand.field.unit is None else _power(operand.field.unit, 0.5)


def is_unit(text: str) -> bool:
    """Whether a text is a unit of VOUnits and not that of pure numbers."""
    return bool(text.strip()) and _parsed(text) is not None


@lru_cache(maxsize=1_000)
def factor(unit: str, target: str) -> float | None:
    """How many of one VOUnit another is; None if it cannot be said."""
    import astropy.units as u  # noqa: PLC0415 -- a second of imports that few queries need

    one, other = _parsed(unit), _parsed(target)
    if one is None or other is None:
        return None
    try:
        return float(one.to(other))
    except (u.UnitConversionError, TypeError):
        return None


def _sum_unit(left: Expression, right: Expression) -> str | None:
    one, two = left.field.unit, right.field.unit
    if isinstance(left, Literal) and one is None:
        return two
    if isinstance(right, Literal) and two is None:
        return one
    return one if one == two else None


def _converts(factor: Expression) -> bool:
    """Whether a factor is a bare constant that changes the number: any but 1."""
    return isinstance(factor, Literal) and factor.field.unit is None and factor.value != 1


def _product_unit(op: Op, left: Expression, right: Expression) -> str | None:
    one, two = left.field.unit, right.field.unit
    divides = op in {Op.DIVIDE, Op.INTEGER_DIVIDE}
    if isinstance(right, Literal) and two is None:
        return one
    if isinstance(left, Literal) and one is None and two is not None:
        return _power(two, -1.0) if divides else two
    if one is None or two is None:
        return None
    return _product(one, two, -1.0 if divides else 1.0)


@lru_cache(maxsize=1_000)
def _product(one: str, two: str, exponent: float) -> str | None:
    first, second = _parsed(one), _parsed(two)
    return None if first is None or second is None else _written(first * second**exponent)


@lru_cache(maxsize=1_000)
def _power(unit: str, exponent: float) -> str | None:
    parsed = _parsed(unit)
    return None if parsed is None or abs(exponent) > _MAX_EXPONENT else _written(parsed**exponent)


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> UnitBase | None:
    """An astropy unit; None if the text is no VOUnit."""
    import astropy.units as u  # noqa: PLC0415 -- a second of imports that few queries need

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)  # units such as erg are deprecated, but columns have them
        try:
            return u.Unit(text, format="vounit")
        except (ValueError, TypeError):
            return None


def _written(unit: UnitBase) -> str | None:
    try:
        return str(unit.to_string("vounit")) or None
    except ValueError:
        return None
