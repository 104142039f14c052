"""Evaluates the expressions of a plan on sample rows: approximately as the engine does, and NULL where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pachon.core.fields import DataType
from pachon.core.sky import gnomonic_frame
from pachon.queries import sphere
from pachon.queries.plan import Aggregate, Call, ColumnRef, Exists, Expression, InQuery, Literal, Op

Key = tuple[int, int]
"""Number of a source, and of a column in it."""

_Datum: TypeAlias = Any
"""An Arrow array or scalar."""

Oracle = Callable[[InQuery | Exists], float]
"""The share of rows for which a subquery is true."""


@dataclass(slots=True)
class Frame:
    """Sample rows: the columns that a plan uses, all of the same length.

    Parameters
    ----------
    columns
        By source and column.
    size
        Number of rows.
    """

    columns: dict[Key, pa.Array]
    size: int

    def take(self, indices: NDArray[np.int64]) -> Frame:
        """Some of the rows; a negative index gives a row of NULLs."""
        picked = pa.array(indices, mask=indices < 0)
        return Frame({key: column.take(picked) for key, column in self.columns.items()}, len(indices))


@dataclass(slots=True)
class Evaluator:
    """Computes expressions over a frame.

    Parameters
    ----------
    oracle
        Answers for subqueries.
    aggregate
        Computes an aggregate, one value a row; None where there are no groups.

    Attributes
    ----------
    has_guessed
        Whether a value was a guess: a subquery, a random number, or what cannot be computed here.
    """

    frame: Frame
    oracle: Oracle
    aggregate: Callable[[Aggregate], pa.Array] | None = None
    has_guessed: bool = field(default=False, init=False)
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def mask(self, condition: Expression) -> NDArray[np.bool_]:
        """For which rows a condition is true."""
        found = pc.fill_null(self.column(condition).cast(pa.bool_()), False)  # noqa: FBT003 -- Arrow's signature
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)

    def column(self, expression: Expression) -> pa.Array:
        """The values of an expression, one a row."""
        found = self._value(expression)
        if isinstance(found, pa.Scalar):
            return pa.repeat(found, self.frame.size)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def _value(self, expression: Expression) -> _Datum:
        match expression:
            case Literal():
                return _scalar(expression)
            case ColumnRef():
                known = self.frame.columns.get((expression.source, expression.index))
                return pa.nulls(self.frame.size, expression.field.arrow_type) if known is None else known
            case Call():
                return self._call(expression)
            case Aggregate():
                missing = pa.nulls(self.frame.size, expression.field.arrow_type)
                return missing if self.aggregate is None else self.aggregate(expression)
            case InQuery() | Exists():
                self.has_guessed = True
                return pa.array(self._random.random(self.frame.size) < self.oracle(expression))

    def _call(self, call: Call) -> _Datum:
        if call.op in _POSITION:
            numbers = [self.column(argument) for argument in call.arguments]
            return _POSITION[call.op](*(_floats(number) for number in numbers))
        if (shapes := _on_shapes(call)) is not None:
            return shapes(*(self.column(argument) for argument in call.arguments))
        values = [self._value(argument) for argument in call.arguments]
        if call.op is Op.RANDOM:
            self.has_guessed = True
            return pa.array(self._random.random(self.frame.size))
        try:
            if call.op is Op.CAST:
                return _cast(values[0], call.field.arrow_type)
            return _COMPUTE[call.op](*values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
            self.has_guessed = True
            return pa.nulls(self.frame.size, call.field.arrow_type)


def _on_shapes(call: Call) -> Callable[..., pa.Array] | None:
    """What makes or compares shapes from whole columns."""
    if call.op is Op.ARRAY:
        return lambda *columns: sphere.arrays_of([_floats(column) for column in columns])
    name = sphere.function_name(call.op, tuple(argument.field.xtype for argument in call.arguments))
    known = sphere.FUNCTIONS.get(name)
    return None if known is None else known.compute


def _scalar(literal: Literal) -> pa.Scalar:
    if literal.field.datatype is DataType.TIMESTAMP and literal.value is not None:
        return pa.scalar(literal.value).cast(pa.timestamp("us"))
    return pa.scalar(literal.value, literal.field.arrow_type)


def _cast(value: _Datum, target: pa.DataType) -> _Datum:
    if pa.types.is_integer(target) and pa.types.is_floating(value.type):
        value = pc.trunc(value)
    return value.cast(target, safe=False)


def _floats(array: pa.Array) -> NDArray[np.float64]:
    return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _known(answer: NDArray[Any], *inputs: NDArray[np.float64]) -> pa.Array:
    """An answer, NULL where an input is."""
    unknown = np.zeros(len(answer), dtype=bool)
    for each in inputs:
        unknown |= np.isnan(each)
    return pa.array(answer, mask=unknown)


_Floats = NDArray[np.float64]


def _separation(ra: _Floats, dec: _Floats, ra0: _Floats, dec0: _Floats) -> pa.Array:
    half_ra, half_dec = np.sin(np.radians(ra - ra0) / 2), np.sin(np.radians(dec - dec0) / 2)
    squared = half_dec**2 + np.cos(np.radians(dec)) * np.cos(np.radians(dec0)) * half_ra**2
    return _known(np.degrees(2 * np.arcsin(np.sqrt(np.clip(squared, 0, 1)))), ra, dec, ra0, dec0)


def _in_circle(ra: _Floats, dec: _Floats, ra0: _Floats, dec0: _Floats, radius: _Floats) -> pa.Array:
    distance = _floats(_separation(ra, dec, ra0, dec0))
    return _known(distance <= radius, distance, radius)


def _in_box(*numbers: _Floats) -> pa.Array:
    ra, dec, ra0, dec0, width, height = (np.radians(each) for each in numbers)
    ahead = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    east = np.cos(dec) * np.sin(ra - ra0)
    north = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
    inside = (ahead > 0) & (np.abs(east) <= ahead * np.tan(width / 2)) & (np.abs(north) <= ahead * np.tan(height / 2))
    return _known(inside, ra, dec)


def _in_polygon(ra: _Floats, dec: _Floats, *numbers: _Floats) -> pa.Array:
    if not len(ra):
        return pa.array([], pa.bool_())
    flat = np.array([each[0] for each in numbers])
    frame = gnomonic_frame(flat[0::2], flat[1::2])
    cos_dec = np.cos(np.radians(dec))
    place = np.stack([cos_dec * np.cos(np.radians(ra)), cos_dec * np.sin(np.radians(ra)), np.sin(np.radians(dec))])
    ahead, x, y = (np.asarray(axis) @ place for axis in (frame.centre, frame.east, frame.north))
    crossings = np.zeros(len(ra), dtype=np.int64)
    for i in range(len(frame.x)):
        x1, y1, x2, y2 = frame.x[i - 1], frame.y[i - 1], frame.x[i], frame.y[i]
        if y1 != y2:
            left = x < (x2 - x1) / (y2 - y1) * (y - y1 * ahead) + x1 * ahead
            crossings += ((y1 * ahead > y) != (y2 * ahead > y)) & left
    return _known((ahead > 0) & (crossings % 2 == 1), ra, dec)


_POSITION: Mapping[Op, Callable[..., pa.Array]] = {
    Op.SEPARATION: _separation,
    Op.IN_CIRCLE: _in_circle,
    Op.IN_BOX: _in_box,
    Op.IN_POLYGON: _in_polygon,
}


def _fold(function: Callable[[_Datum, _Datum], _Datum]) -> Callable[..., _Datum]:
    def folded(first: _Datum, *others: _Datum) -> _Datum:
        for other in others:
            first = function(first, other)
        return first

    return folded


def _double(function: Callable[..., _Datum]) -> Callable[..., _Datum]:
    return lambda *values: function(*(value.cast(pa.float64(), safe=False) for value in values))


def _quotient(dividend: _Datum, divisor: _Datum) -> _Datum:
    """NULL where the divisor is 0."""
    return pc.divide(dividend, pc.if_else(pc.equal(divisor, 0.0), pa.scalar(None, pa.float64()), divisor))


def _like(*, ignore_case: bool) -> Callable[[_Datum, _Datum], _Datum]:
    def match(value: _Datum, pattern: _Datum) -> _Datum:
        if not isinstance(pattern, pa.Scalar) or not pattern.is_valid:
            raise KeyError("LIKE")
        return pc.match_like(value, pattern.as_py(), ignore_case=ignore_case)

    return match


def _common_type(types: list[pa.DataType]) -> pa.DataType:
    """A type that holds the values of all: whole numbers stay whole, for identifiers exceed 2**53."""
    if all(each == types[0] for each in types):
        return types[0]
    return pa.int64() if all(pa.types.is_integer(each) for each in types) else pa.float64()


def _in(value: _Datum, *options: _Datum) -> _Datum:
    if all(isinstance(option, pa.Scalar) for option in options):
        common = _common_type([value.type, *(option.type for option in options)])
        known = pa.array([option.as_py() for option in options if option.is_valid], common)
        return pc.if_else(pc.is_valid(value), pc.is_in(value.cast(common, safe=False), value_set=known), None)
    found = pc.equal(value, options[0])
    for option in options[1:]:
        found = pc.or_kleene(found, pc.equal(value, option))
    return found


def _modulo(value: _Datum, divisor: _Datum) -> _Datum:
    quotient = pc.trunc(pc.divide(value.cast(pa.float64(), safe=False), divisor.cast(pa.float64(), safe=False)))
    if pa.types.is_integer(value.type) and pa.types.is_integer(divisor.type):
        quotient = pc.divide(value, divisor)
    return pc.subtract(value, pc.multiply(quotient, divisor))


def _places(function: Callable[..., _Datum]) -> Callable[..., _Datum]:
    def rounded(value: _Datum, places: _Datum | None = None) -> _Datum:
        scale = 10.0 ** (places.as_py() if isinstance(places, pa.Scalar) and places.is_valid else 0)
        return pc.divide(function(pc.multiply(value.cast(pa.float64(), safe=False), scale)), scale)

    return rounded


_COMPUTE: Mapping[Op, Callable[..., _Datum]] = {
    Op.AND: _fold(pc.and_kleene),
    Op.OR: _fold(pc.or_kleene),
    Op.NOT: pc.invert,
    Op.EQ: pc.equal,
    Op.NE: pc.not_equal,
    Op.LT: pc.less,
    Op.LE: pc.less_equal,
    Op.GT: pc.greater,
    Op.GE: pc.greater_equal,
    Op.IS_NULL: pc.is_null,
    Op.LIKE: _like(ignore_case=False),
    Op.ILIKE: _like(ignore_case=True),
    Op.IN: _in,
    Op.BETWEEN: lambda value, low, high: pc.and_kleene(pc.greater_equal(value, low), pc.less_equal(value, high)),
    Op.ADD: _fold(pc.add),
    Op.SUBTRACT: _fold(pc.subtract),
    Op.MULTIPLY: _fold(pc.multiply),
    Op.DIVIDE: _double(_quotient),
    Op.INTEGER_DIVIDE: pc.divide,
    Op.NEGATE: pc.negate,
    Op.CONCAT: lambda *parts: pc.binary_join_element_wise(*parts, ""),
    Op.COALESCE: pc.coalesce,
    Op.ELEMENT: lambda lists, place: pc.list_element(lists, place.as_py() - 1),
    Op.LOWER: pc.utf8_lower,
    Op.UPPER: pc.utf8_upper,
    Op.ABS: pc.abs,
    Op.CEILING: pc.ceil,
    Op.FLOOR: pc.floor,
    Op.ROUND: _places(pc.round),
    Op.TRUNCATE: _places(pc.trunc),
    Op.DEGREES: _double(lambda value: pc.multiply(value, 180 / np.pi)),
    Op.RADIANS: _double(lambda value: pc.multiply(value, np.pi / 180)),
    Op.EXP: _double(pc.exp),
    Op.LN: _double(pc.ln),
    Op.LOG10: _double(pc.log10),
    Op.MOD: _modulo,
    Op.PI: lambda: pa.scalar(np.pi),
    Op.POWER: _double(pc.power),
    Op.SQRT: _double(pc.sqrt),
    Op.ACOS: _double(pc.acos),
    Op.ASIN: _double(pc.asin),
    Op.ATAN: _double(pc.atan),
    Op.ATAN2: _double(pc.atan2),
    Op.COS: _double(pc.cos),
    Op.COT: _double(lambda value: _quotient(1.0, pc.tan(value))),
    Op.SIN: _double(pc.sin),
    Op.TAN: _double(pc.tan),
}
