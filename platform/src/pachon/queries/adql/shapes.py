"""Binds the geometry functions of ADQL 2.1 (section 4): calls become shapes, shapes become operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from pachon.core import moc
from pachon.core.errors import QuerySyntaxError, UsageError
from pachon.core.fields import DataType, Field
from pachon.core.healpix import SPATIAL_INDEX_ORDER
from pachon.queries.adql import constants, geometry, stcs
from pachon.queries.adql.functions import is_number, kind_of
from pachon.queries.adql.geometry import Shape, ShapeError
from pachon.queries.plan import Call, Expression, Op

_MADE = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON", "CENTROID", "REGION", "MOC"})
"""Functions whose value is a shape."""


class Values(Protocol):
    """What is needed of the binder of values."""

    def value(self, node: exp.Expr) -> Expression:
        """A value."""
        ...

    def number(self, node: exp.Expr, what: str) -> Expression:
        """A number."""
        ...

    def arguments(self, node: exp.Anonymous, name: str, least: int, most: int) -> list[exp.Expr]:
        """The arguments of a call."""
        ...

    def error(self, node: exp.Expr, message: str) -> QuerySyntaxError:
        """The error that refuses a node."""
        ...


@dataclass(frozen=True, slots=True)
class ShapeBinder:
    """Binds geometry with the help of the binder of its numbers."""

    values: Values

    def value(self, node: exp.Anonymous, name: str) -> Expression:
        """The value of a call to a geometry function."""
        try:
            return self._value(node, name)
        except ShapeError as error:
            raise self.values.error(node, str(error)) from None

    def _value(self, node: exp.Anonymous, name: str) -> Expression:
        if name in {"CONTAINS", "INTERSECTS"}:
            first, second = (self._shape(each) for each in self.values.arguments(node, name, 2, 2))
            inside = geometry.contains(first, second) if name == "CONTAINS" else geometry.intersects(first, second)
            return Call(Op.CAST, (inside,), Field(name=name.lower(), datatype=DataType.INT))
        if name == "DISTANCE":
            return self._distance(node)
        if name in {"COORD1", "COORD2"}:
            (point,) = self.values.arguments(node, name, 1, 1)
            shape = self._shape_of(point, "point", name)
            coordinate = shape.numbers[0 if name == "COORD1" else 1]
            return Call(Op.CAST, (coordinate,), Field(name=name.lower(), datatype=DataType.DOUBLE, unit="deg"))
        if name == "AREA":
            return geometry.area(self._shape(self.values.arguments(node, name, 1, 1)[0]))
        if name == "COORDSYS":
            self._shape(self.values.arguments(node, name, 1, 1)[0])
            return constants.string("ICRS")
        return geometry.as_array(self._shape(node))

    def _distance(self, node: exp.Anonymous) -> Expression:
        given = node.expressions
        if len(given) == 4:  # noqa: PLR2004 -- two positions as four numbers
            numbers = tuple(self.values.number(each, "DISTANCE") for each in given)
            first, second = geometry.make_shape("point", numbers[:2]), geometry.make_shape("point", numbers[2:])
            return geometry.separation(first, second)
        if len(given) != 2:  # noqa: PLR2004 -- two points
            raise self.values.error(node, f"DISTANCE takes two points or four numbers, not {len(given)} arguments.")
        first, second = (self._shape_of(each, "point", "DISTANCE") for each in given)
        return geometry.separation(first, second)

    def _shape_of(self, node: exp.Expr, kind: str, what: str) -> Shape:
        shape = self._shape(node)
        if shape.kind != kind:
            raise self.values.error(node, f"{what} needs a {kind}, not a {shape.kind}.")
        return shape

    def _shape(self, node: exp.Expr) -> Shape:
        while isinstance(node, exp.Paren):
            node = node.this
        name = str(node.this).upper() if isinstance(node, exp.Anonymous) else ""
        if isinstance(node, exp.Anonymous) and name in _MADE:
            try:
                return self._made(node, name)
            except ShapeError as error:
                raise self.values.error(node, str(error)) from None
        try:
            return geometry.from_value(self.values.value(node))
        except ShapeError as error:
            raise self.values.error(node, str(error)) from None

    def _made(self, node: exp.Anonymous, name: str) -> Shape:
        if name == "CENTROID":
            return geometry.centroid(self._shape(self.values.arguments(node, name, 1, 1)[0]))
        if name == "REGION":
            return stcs.read(self._string(self.values.arguments(node, name, 1, 1)[0], "'CIRCLE ICRS 10 20 0.5'"))
        if name == "MOC":
            return self._moc(node)
        return self._constructed(node, name)

    def _moc(self, node: exp.Anonymous) -> Shape:
        given = self.values.arguments(node, "MOC", 1, 2)
        try:
            if len(given) == 1:
                return geometry.moc_literal(moc.parse(self._string(given[0], "'4/30-33 38 52 7/324-934'")))
        except UsageError as error:
            raise self.values.error(given[0], error.message[0].lower() + error.message[1:]) from None
        order = constants.numeric_value(self.values.number(given[0], "MOC"))
        if order is None or not order.is_integer() or not 0 <= order <= SPATIAL_INDEX_ORDER:
            raise self.values.error(
                given[0], f"the order of a MOC must be a whole number between 0 and {SPATIAL_INDEX_ORDER}."
            )
        return geometry.moc_of(self._shape(given[1]), int(order))

    def _string(self, node: exp.Expr, example: str) -> str:
        if not (isinstance(node, exp.Literal) and node.is_string):
            raise self.values.error(node, f"expected a string here, such as {example}.")
        return str(node.name)

    def _constructed(self, node: exp.Anonymous, name: str) -> Shape:
        given = list(node.expressions)
        if given and isinstance(given[0], exp.Literal) and given[0].is_string:
            self._check_system(given.pop(0))
        numbers = self._coordinates(given, name)
        sizes = {"POINT": "two", "CIRCLE": "three", "BOX": "four"}
        expected = {"POINT": 2, "CIRCLE": 3, "BOX": 4}.get(name)
        if expected is not None and len(numbers) != expected:
            raise self.values.error(
                node, f"{name} takes {sizes[name]} numbers (a point counts as two), not {len(numbers)}."
            )
        if name == "POLYGON" and (len(numbers) % 2 or len(numbers) < 6):  # noqa: PLR2004 -- a triangle
            raise self.values.error(node, "POLYGON takes at least three vertices, each as two numbers or a point.")
        return geometry.make_shape(name.lower(), tuple(numbers))

    def _coordinates(self, given: list[exp.Expr], name: str) -> list[Expression]:
        if name == "POINT":
            return [self.values.number(each, name) for each in given]
        numbers: list[Expression] = []
        for each in given:
            is_call = isinstance(each, exp.Anonymous) and str(each.this).upper() in {"POINT", "CENTROID"}
            if is_call:
                numbers += self._shape_of(each, "point", name).numbers
                continue
            bound = self.values.value(each)
            if bound.field.xtype == "point":
                numbers += geometry.from_value(bound).numbers
            elif is_number(bound.field):
                numbers.append(bound)
            else:
                raise self.values.error(each, f"{name} needs numbers or points, not {kind_of(bound.field)}.")
        return numbers

    def _check_system(self, node: exp.Literal) -> None:
        words = node.name.upper().split()
        if words and words[0] not in stcs.FRAMES:
            raise self.values.error(
                node, f"positions here are ICRS; the coordinate system '{node.name}' is not offered."
            )
