"""Geometry of ADQL 2.1 (section 4): shapes are checked and turned into plain operations on coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field
from pachon.core.sky import gnomonic_frame
from pachon.queries.adql.constants import number, numeric_value
from pachon.queries.plan import Call, Expression, Literal, Op

_BOOLEAN = Field(name="value", datatype=DataType.BOOLEAN)
_DOUBLE = Field(name="value", datatype=DataType.DOUBLE, unit="deg")
_MAX_VERTICES = 1000


class ShapeError(ValueError):
    """A shape that cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A point, circle, box or polygon: its name and its numbers, in the order ADQL writes them."""

    kind: str
    numbers: tuple[Expression, ...]

    @property
    def centre(self) -> tuple[Expression, Expression]:
        """Longitude and latitude of a point, or of the centre of a circle or box."""
        return self.numbers[0], self.numbers[1]


def make_shape(kind: str, numbers: tuple[Expression, ...]) -> Shape:
    """A shape with its constants checked.

    Raises
    ------
    ShapeError
        For a latitude outside [-90, 90], a negative radius, a polygon without an agreed inside.
    """
    if kind == "polygon":
        _check_polygon(numbers)
    else:
        _check_latitude(numbers[1])
        for size in numbers[2:]:
            _check_size(kind, size)
    return Shape(kind, numbers)


def _check_latitude(expression: Expression) -> None:
    value = numeric_value(expression)
    if value is not None and abs(value) > 90:  # noqa: PLR2004 -- a pole
        raise ShapeError(f"a declination must be between -90 and +90 degrees, not {value:g}.")


def _check_size(kind: str, expression: Expression) -> None:
    value = numeric_value(expression)
    if value is None:
        return
    if kind == "circle" and not 0 <= value <= 180:  # noqa: PLR2004 -- half a turn
        raise ShapeError(f"the radius of a circle must be between 0 and 180 degrees, not {value:g}.")
    if kind == "box" and not 0 < value < 180:  # noqa: PLR2004 -- half a turn
        raise ShapeError(f"the sides of a box must be more than 0 and less than 180 degrees, not {value:g}.")


def _check_polygon(numbers: tuple[Expression, ...]) -> None:
    values = [numeric_value(each) for each in numbers]
    if any(value is None for value in values):
        raise ShapeError("the vertices of a polygon must be constant numbers here.")
    if len(values) > 2 * _MAX_VERTICES:
        raise ShapeError(f"a polygon may have at most {_MAX_VERTICES} vertices.")
    vertices = np.array(values, dtype=np.float64)
    for latitude in numbers[1::2]:
        _check_latitude(latitude)
    try:
        frame = gnomonic_frame(vertices[0::2], vertices[1::2])
    except UsageError as error:
        raise ShapeError(error.message[0].lower() + error.message[1:]) from None
    if frame.crosses_itself:
        raise ShapeError("the edges of this polygon cross or touch each other, so it has no agreed inside.")


def contains(inner: Shape, outer: Shape) -> Expression:
    """Whether `inner` lies inside or on the boundary of `outer`, as a truth value.

    Raises
    ------
    ShapeError
        For pairs that are not offered.
    """
    if inner.kind == "point" and outer.kind in _MEMBERSHIP:
        return Call(_MEMBERSHIP[outer.kind], (*inner.numbers, *outer.numbers), _BOOLEAN)
    if inner.kind == outer.kind == "circle":
        reach = _add(separation(inner, outer), inner.numbers[2])
        return Call(Op.LE, (reach, outer.numbers[2]), _BOOLEAN)
    raise ShapeError(
        f"CONTAINS of a {inner.kind} in a {outer.kind} is not offered: a point in a circle, box or polygon, "
        "or a circle in a circle."
    )


def intersects(first: Shape, second: Shape) -> Expression:
    """Whether two shapes share a point, as a truth value.

    Raises
    ------
    ShapeError
        For pairs that are not offered.
    """
    if second.kind == "point":
        first, second = second, first
    if first.kind == "point" and second.kind in _MEMBERSHIP:
        return contains(first, second)
    if first.kind == second.kind == "circle":
        reach = _add(first.numbers[2], second.numbers[2])
        return Call(Op.LE, (separation(first, second), reach), _BOOLEAN)
    raise ShapeError(
        f"INTERSECTS of a {first.kind} and a {second.kind} is not offered: a point with a circle, box or polygon, "
        "or two circles."
    )


_MEMBERSHIP = {"circle": Op.IN_CIRCLE, "box": Op.IN_BOX, "polygon": Op.IN_POLYGON}


def separation(first: Shape, second: Shape) -> Expression:
    """Distance of two points or centres, degrees."""
    field = Field(name="distance", datatype=DataType.DOUBLE, unit="deg", ucd="pos.angDistance")
    return Call(Op.SEPARATION, (*first.centre, *second.centre), field)


def area(shape: Shape) -> Expression:
    """Area in square degrees.

    Raises
    ------
    ShapeError
        For shapes whose area is not offered.
    """
    field = Field(name="area", datatype=DataType.DOUBLE, unit="deg**2")
    if shape.kind == "point":
        return Literal(0.0, field)
    radius = numeric_value(shape.numbers[2]) if shape.kind == "circle" else None
    if radius is None:
        raise ShapeError("AREA is offered for circles of constant radius only.")
    cap = 4 * math.pi * math.sin(math.radians(radius) / 2) ** 2
    return Literal(cap * math.degrees(1) ** 2, field)


def as_value(shape: Shape) -> Expression:
    """The shape as a DALI array (DALI 1.1, section 3.3)."""
    if shape.kind == "box":
        return as_value(_box_as_polygon(shape))
    size = {"point": "2", "circle": "3"}.get(shape.kind, "*")
    field = Field(name=shape.kind, datatype=DataType.DOUBLE, arraysize=size, xtype=shape.kind, unit="deg")
    casts = tuple(Call(Op.CAST, (each,), _DOUBLE) for each in shape.numbers)
    return Call(Op.ARRAY, casts, field)


def from_value(expression: Expression) -> Shape:
    """The shape behind a column that holds DALI arrays.

    Raises
    ------
    ShapeError
        If the expression is no point or circle.
    """
    size = {"point": 2, "circle": 3}.get(expression.field.xtype or "")
    if size is None:
        raise ShapeError("expected a shape: POINT, CIRCLE, BOX or POLYGON.")
    parts = tuple(Call(Op.ELEMENT, (expression, _position(i + 1)), _DOUBLE) for i in range(size))
    return Shape(expression.field.xtype or "", parts)


def box_radius_deg(width_deg: float, height_deg: float) -> float:
    """Distance of a corner of a box from its centre."""
    half = math.tan(math.radians(width_deg) / 2), math.tan(math.radians(height_deg) / 2)
    return math.degrees(math.atan(math.hypot(*half)))


def _box_as_polygon(shape: Shape) -> Shape:
    values = [numeric_value(each) for each in shape.numbers]
    if any(value is None for value in values):
        raise ShapeError("a BOX as a result column must have constant numbers.")
    ra, dec, width, height = (math.radians(value or 0.0) for value in values)
    corners = [
        _from_plane(ra, dec, sx * math.tan(width / 2), sy * math.tan(height / 2))
        for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    flat = [coordinate for corner in corners for coordinate in corner]
    return Shape("polygon", tuple(Literal(value, _DOUBLE) for value in flat))


def _from_plane(ra: float, dec: float, x: float, y: float) -> tuple[float, float]:
    down = math.cos(dec) - y * math.sin(dec)
    longitude = ra + math.atan2(x, down)
    latitude = math.atan2(math.sin(dec) + y * math.cos(dec), math.hypot(x, down))
    return math.degrees(longitude) % 360.0, math.degrees(latitude)


def _add(left: Expression, right: Expression) -> Expression:
    return Call(Op.ADD, (left, right), _DOUBLE)


def _position(value: int) -> Expression:
    literal = number(value)
    assert literal is not None  # noqa: S101 -- small integers always fit
    return literal
