"""Geometry of ADQL 2.1 (section 4): shapes are checked and turned into operations on coordinates.

Positions in circles, boxes and constant polygons become arithmetic that every engine has; all else becomes operations
on DALI arrays, computed at once where every number is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.core import moc
from pachon.core.cover import Cover
from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field
from pachon.core.sky import gnomonic_frame
from pachon.queries import sphere
from pachon.queries.adql import constants, regions
from pachon.queries.adql.constants import number, numeric_value
from pachon.queries.plan import Call, Expression, Literal, Op

BOOLEAN = Field(name="value", datatype=DataType.BOOLEAN)
DOUBLE = Field(name="value", datatype=DataType.DOUBLE, unit="deg")
MOC_FIELD = Field(name="moc", datatype=DataType.CHAR, arraysize="*", xtype="moc")
_MAX_VERTICES = 1000
_HALF_TURN_DEG = 180
_SAME_PLACE_DEG = 1e-11


class ShapeError(ValueError):
    """A shape that cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A point, circle, box, polygon or MOC.

    Parameters
    ----------
    kind
        Its name in lower case.
    numbers
        Its numbers, in the order ADQL writes them; empty for a polygon from a column, and for a MOC.
    whole
        The array of a polygon from a column, or the text of a MOC.
    """

    kind: str
    numbers: tuple[Expression, ...] = ()
    whole: Expression | None = None

    @property
    def centre(self) -> tuple[Expression, Expression]:
        """Longitude and latitude of a point, or of the centre of a circle or box."""
        return self.numbers[0], self.numbers[1]

    @property
    def is_constant(self) -> bool:
        """Whether all of it is known beforehand."""
        parts = self.numbers if self.whole is None else (self.whole,)
        return all(isinstance(part, Literal) and part.value is not None for part in parts)

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers of a constant shape."""
        return tuple(numeric_value(each) or 0.0 for each in self.numbers)


def make_shape(kind: str, numbers: tuple[Expression, ...]) -> Shape:
    """A shape with its constants checked.

    Raises
    ------
    ShapeError
        For a longitude outside [-360, 360], a latitude outside [-90, 90], a negative radius, a polygon without an
        agreed inside.
    """
    if kind == "polygon":
        return _polygon(numbers)
    check_place(numbers[0], numbers[1])
    for size in numbers[2:]:
        _check_size(kind, size)
    return Shape(kind, numbers)


def check_place(longitude: Expression, latitude: Expression) -> None:
    """Check the constants of a position.

    Raises
    ------
    ShapeError
        For a longitude outside [-360, 360] or a latitude outside [-90, 90].
    """
    value = numeric_value(longitude)
    if value is not None and abs(value) > 360:  # noqa: PLR2004 -- a whole turn
        raise ShapeError(f"a right ascension must be between -360 and +360 degrees, not {value:g}.")
    value = numeric_value(latitude)
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


def _polygon(numbers: tuple[Expression, ...]) -> Shape:
    if len(numbers) > 2 * _MAX_VERTICES:
        raise ShapeError(f"a polygon may have at most {_MAX_VERTICES} vertices.")
    for longitude, latitude in zip(numbers[0::2], numbers[1::2], strict=True):
        check_place(longitude, latitude)
    shape = Shape("polygon", numbers)
    if not shape.is_constant:
        return shape
    vertices = _without_repetition(np.array(shape.values).reshape(-1, 2))
    try:
        frame = gnomonic_frame(vertices[:, 0], vertices[:, 1])
    except UsageError as error:
        raise ShapeError(error.message[0].lower() + error.message[1:]) from None
    if frame.crosses_itself:
        raise ShapeError("the edges of this polygon cross or touch each other, so it has no agreed inside.")
    return Shape("polygon", _literals(vertices.ravel().tolist()))


def _without_repetition(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vertices without those that repeat the one before, as when the first is written again at the end."""
    kept = vertices[(vertices != np.roll(vertices, 1, axis=0)).any(axis=1)]
    return kept if len(kept) > 2 else vertices  # noqa: PLR2004 -- no fewer than a triangle


def contains(inner: Shape, outer: Shape) -> Expression:
    """Whether `inner` lies inside or on the boundary of `outer`, as a truth value.

    Raises
    ------
    ShapeError
        For a MOC with a shape whose numbers are not constant.
    """
    if "moc" in {inner.kind, outer.kind}:
        return _contains_moc(inner, outer)
    if inner.kind == "point" and outer.kind in _MEMBERSHIP and (outer.kind != "polygon" or outer.is_constant):
        return Call(_MEMBERSHIP[outer.kind], (*inner.numbers, *outer.numbers), BOOLEAN)
    if outer.kind == "point":
        return Call(Op.LE, (_reach(inner, outer), _double(_SAME_PLACE_DEG)), BOOLEAN) if _is_round(inner) else _never()
    if _is_round(inner) and outer.kind == "circle" and (radius := numeric_value(outer.numbers[2])) is not None:
        limit = _double(radius if radius < _HALF_TURN_DEG else 4 * _HALF_TURN_DEG)
        return Call(Op.LE, (_reach(inner, outer), limit), BOOLEAN)
    return folded(Call(Op.CONTAINS, (as_array(inner), as_array(outer)), BOOLEAN))


def intersects(first: Shape, second: Shape) -> Expression:
    """Whether two shapes share a point, as a truth value.

    Raises
    ------
    ShapeError
        For a MOC with a shape whose numbers are not constant.
    """
    if not _is_round(second):
        first, second = second, first
    if second.kind == "point" and first.kind != "point":
        return contains(second, first)
    if "moc" in {first.kind, second.kind}:
        return _intersects_moc(first, second)
    if _is_round(first) and _is_round(second):
        radii = [shape.numbers[2] for shape in (first, second) if shape.kind == "circle"]
        limit = _add(*radii) if len(radii) == 2 else _double(_SAME_PLACE_DEG)  # noqa: PLR2004 -- two circles
        return Call(Op.LE, (separation(first, second), limit), BOOLEAN)
    return folded(Call(Op.INTERSECTS, (as_array(second), as_array(first)), BOOLEAN))


_MEMBERSHIP = {"circle": Op.IN_CIRCLE, "box": Op.IN_BOX, "polygon": Op.IN_POLYGON}


def _is_round(shape: Shape) -> bool:
    return shape.kind in {"point", "circle"}


def _never() -> Expression:
    """No polygon, box or MOC lies in a point."""
    return Literal(False, BOOLEAN)  # noqa: FBT003 -- plan node


def _reach(inner: Shape, outer: Shape) -> Expression:
    """How far from the centre of `outer` the farthest place of `inner` is, degrees."""
    away = separation(inner, outer)
    return away if inner.kind == "point" else _add(away, inner.numbers[2])


def _contains_moc(inner: Shape, outer: Shape) -> Expression:
    if inner.kind == "point" and outer.whole is not None:
        return Call(Op.COVERED_BY, (*inner.numbers, outer.whole), BOOLEAN)
    if outer.kind == "point":
        return _never()
    if inner.kind == "moc":
        inside = _ranges(inner)
        cells = _ranges(outer) if outer.kind == "moc" else _cover(outer).inner
    else:
        inside, cells = _cover(inner).outer, _ranges(outer)
    return Literal(not len(moc.intersection(inside, moc.complement(cells))), BOOLEAN)


def _intersects_moc(first: Shape, second: Shape) -> Expression:
    one, two = (_ranges(each) if each.kind == "moc" else _cover(each).outer for each in (first, second))
    return Literal(bool(len(moc.intersection(one, two))), BOOLEAN)


def moc_literal(ranges: moc.Ranges) -> Shape:
    """A MOC of known cells."""
    return Shape("moc", whole=Literal(moc.write(ranges), MOC_FIELD))


def moc_of(shape: Shape, order: int) -> Shape:
    """The cells of an order that a shape touches, or that hold a part of a MOC.

    Raises
    ------
    ShapeError
        If the shape is not constant or its cells are too many.
    """
    if shape.kind == "moc":
        return moc_literal(moc.degraded(_ranges(shape), order))
    _check_constant(shape)
    try:
        return moc_literal(regions.coverage(shape.kind, shape.values, order=order))
    except UsageError as error:
        raise ShapeError(error.message) from None


def _cover(shape: Shape) -> Cover:
    _check_constant(shape)
    return regions.fine_cover(shape.kind, shape.values)


def _check_constant(shape: Shape) -> None:
    if not shape.is_constant or not shape.numbers:
        raise ShapeError(f"a {shape.kind} that meets a MOC must have constant numbers.")


def _ranges(shape: Shape) -> moc.Ranges:
    if not isinstance(shape.whole, Literal):
        raise ShapeError("a MOC from a column can be compared with points only.")
    return moc.parse(str(shape.whole.value))


def separation(first: Shape, second: Shape) -> Expression:
    """Distance of two points or centres, degrees."""
    field = Field(name="distance", datatype=DataType.DOUBLE, unit="deg", ucd="pos.angDistance")
    return Call(Op.SEPARATION, (*first.centre, *second.centre), field)


def area(shape: Shape) -> Expression:
    """Area in square degrees."""
    field = Field(name="area", datatype=DataType.DOUBLE, unit="deg**2")
    if shape.kind == "point":
        return Literal(0.0, field)
    if shape.kind == "moc" and isinstance(shape.whole, Literal):
        return Literal(moc.area_deg2(_ranges(shape)), field)
    return folded(Call(Op.AREA, (as_array(shape),), field))


def centroid(shape: Shape) -> Shape:
    """The mean position of a shape, as a point.

    Raises
    ------
    ShapeError
        For a MOC.
    """
    if shape.kind == "moc":
        raise ShapeError("CENTROID of a MOC is not offered.")
    if shape.kind != "polygon":
        return Shape("point", shape.centre)
    field = Field(name="centroid", datatype=DataType.DOUBLE, arraysize="2", xtype="point", unit="deg")
    call = Call(Op.CENTROID, (as_array(shape),), field)
    known = _computed(call)
    return from_value(call) if known is None else Shape("point", _literals(known))


def as_array(shape: Shape) -> Expression:
    """The shape as a DALI array (DALI 1.1, section 3.3); a box as a polygon; a MOC as its text."""
    if shape.whole is not None:
        return shape.whole
    if shape.kind == "box":
        field = Field(name="box", datatype=DataType.DOUBLE, arraysize="*", xtype="polygon", unit="deg")
        corners = Call(Op.BOX_CORNERS, tuple(constants.as_double(each) for each in shape.numbers), field)
        known = _computed(corners)
        return corners if known is None else as_array(Shape("polygon", _literals(known)))
    size = {"point": "2", "circle": "3"}.get(shape.kind, "*")
    field = Field(name=shape.kind, datatype=DataType.DOUBLE, arraysize=size, xtype=shape.kind, unit="deg")
    return Call(Op.ARRAY, tuple(constants.as_double(each) for each in shape.numbers), field)


def from_value(expression: Expression) -> Shape:
    """The shape behind a column of DALI arrays, or of MOCs.

    Raises
    ------
    ShapeError
        If the expression is none.
    """
    kind = expression.field.xtype or ""
    if kind in {"polygon", "moc"}:
        return Shape(kind, whole=expression)
    size = {"point": 2, "circle": 3}.get(kind)
    if size is None:
        raise ShapeError("expected a shape: POINT, CIRCLE, BOX, POLYGON, REGION or MOC.")
    parts = tuple(Call(Op.ELEMENT, (expression, _position(i + 1)), DOUBLE) for i in range(size))
    return Shape(kind, parts)


def folded(call: Call) -> Expression:
    """A call on constant shapes as its value."""
    known = _computed(call)
    return call if known is None else Literal(known, call.field)


def _computed(call: Call) -> Any:  # noqa: ANN401 -- a truth value, a number or numbers
    """The value of a geometric operation whose arguments are all constant; None if they are not."""
    arguments = [_constant(argument) for argument in call.arguments]
    if any(each is None for each in arguments):
        return None
    name = sphere.function_name(call.op, tuple(argument.field.xtype for argument in call.arguments))
    return sphere.FUNCTIONS[name].compute(*(pa.array([each]) for each in arguments))[0].as_py()


def _constant(expression: Expression) -> float | list[float] | None:
    if isinstance(expression, Call) and expression.op is Op.ARRAY:
        numbers = [numeric_value(each) for each in expression.arguments]
        return None if any(each is None for each in numbers) else [each for each in numbers if each is not None]
    return numeric_value(expression)


def _literals(numbers: list[float]) -> tuple[Expression, ...]:
    return tuple(_double(each) for each in numbers)


def _double(value: float) -> Literal:
    return Literal(float(value), DOUBLE)


def _add(left: Expression, right: Expression) -> Expression:
    first, second = numeric_value(left), numeric_value(right)
    return Call(Op.ADD, (left, right), DOUBLE) if first is None or second is None else _double(first + second)


def _position(value: int) -> Expression:
    literal = number(value)
    assert literal is not None  # noqa: S101 -- small integers always fit
    return literal
