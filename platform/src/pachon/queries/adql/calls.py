"""Binds calls of functions by name: plain ones, aggregates, conversions of units; geometry goes to its own binder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.core.fields import DataType, Field
from pachon.core.healpix import SPATIAL_INDEX_ORDER
from pachon.queries.adql import constants, functions, limits, quantities, shapes
from pachon.queries.adql.functions import Kind, Signature, is_number, kind_of
from pachon.queries.adql.geometry import ShapeError, check_place
from pachon.queries.adql.shapes import ShapeBinder
from pachon.queries.adql.udfs import COMPOSITIONS, USER_FUNCTIONS
from pachon.queries.adql.words import suggestion
from pachon.queries.plan import Aggregate, AggregateOp, Call, Expression, Literal, Op

_KNOWN = functions.KNOWN | frozenset(USER_FUNCTIONS)


class Values(shapes.Values, Protocol):
    """What is needed of the binder of values."""

    no_aggregates: str
    in_aggregate: bool

    def string(self, node: exp.Expr, what: str) -> Expression:
        """A text."""
        ...

    def timestamp(self, node: exp.Expr, what: str) -> Expression:
        """A timestamp."""
        ...

    def pair(self, node: exp.Expr, left: Expression, right: Expression) -> tuple[Expression, Expression]:
        """Two values, converted so that they can be compared."""
        ...


@dataclass(frozen=True, slots=True)
class CallBinder:
    """Binds a call with the help of the binder of its arguments."""

    values: Values

    def value(self, node: exp.Anonymous) -> Expression:
        """The value of a call."""
        name = str(node.this).upper()
        if isinstance(node.this, exp.Expr) or name not in _KNOWN:
            raise self._unknown(node, name)
        if name in functions.AGGREGATES:
            return self._aggregate(node, name)
        for argument in node.expressions:
            if isinstance(argument, exp.Star | exp.Distinct):
                raise self.values.error(argument, f"{name} takes neither '*' nor DISTINCT.")
        if name in functions.PLAIN:
            return self._plain(node, name)
        if name in functions.GEOMETRY | functions.MOC:
            return ShapeBinder(self.values).value(node, name)
        if name in COMPOSITIONS:
            return self._composed(node, name)
        special = {
            "MOD": self._mod,
            "COALESCE": self._coalesce,
            "IN_UNIT": self._in_unit,
            "IVO_HEALPIX_INDEX": self._healpix_index,
        }
        return special[name](node)

    def _unknown(self, node: exp.Anonymous, name: str) -> QuerySyntaxError:
        if synonym := functions.SYNONYMS.get(name):
            return self.values.error(node, f"unknown function '{node.this}'; in ADQL write {synonym}.")
        near = suggestion(name, _KNOWN) or " : see the capabilities of this service for those it has."
        return self.values.error(node, f"unknown function '{node.this}'{near}".replace(" :", ":"))

    def _argument(self, node: exp.Expr, kind: Kind, name: str) -> Expression:
        """An argument of a kind."""
        if kind is Kind.STRING:
            return self.values.string(node, name)
        if kind is Kind.TIMESTAMP:
            return self.values.timestamp(node, name)
        bound = self.values.number(node, name)
        if kind is Kind.INTEGER and not bound.field.datatype.is_integer:
            raise self.values.error(node, f"{name} needs {kind.value} here.")
        return bound

    def _plain(self, node: exp.Anonymous, name: str) -> Expression:
        signature = functions.PLAIN[name]
        given = self.values.arguments(node, name, signature.required, len(signature.kinds))
        pairs = list(zip(given, signature.kinds, strict=False))
        arguments = [self._argument(each, kind, name) for each, kind in pairs]
        result = _plain_field(name.lower(), signature, arguments)
        if signature.op is Op.RANDOM:
            return Call(Op.RANDOM, (), result)
        if signature.result is DataType.DOUBLE:
            arguments = [
                constants.as_double(argument) if kind is Kind.NUMBER else argument
                for argument, (_, kind) in zip(arguments, pairs, strict=True)
            ]
        return Call(signature.op, tuple(arguments), result)

    def _composed(self, node: exp.Anonymous, name: str) -> Expression:
        function = COMPOSITIONS[name]
        count = len(function.kinds)
        given = self.values.arguments(node, name.lower(), count, count)
        bound = [self._argument(each, kind, name.lower()) for each, kind in zip(given, function.kinds, strict=True)]
        return function.build(*bound)

    def _healpix_index(self, node: exp.Anonymous) -> Expression:
        name = "ivo_healpix_index"
        order, *given = self.values.arguments(node, name, 2, 3)
        bound = self.values.number(order, name)
        if not isinstance(bound, Literal) or bound.value not in range(SPATIAL_INDEX_ORDER + 1):
            message = f"the order of {name} must be a constant whole number from 0 to {SPATIAL_INDEX_ORDER}."
            raise self.values.error(order, message)
        position = (
            self._point(given[0], name) if len(given) == 1 else [self.values.number(each, name) for each in given]
        )
        try:
            check_place(*position)
        except ShapeError as error:
            raise self.values.error(given[0], str(error)) from None
        return Call(Op.HEALPIX_INDEX, (bound, *position), Field(name=name, datatype=DataType.LONG, ucd="pos.healpix"))

    def _point(self, node: exp.Expr, name: str) -> list[Expression]:
        """The two coordinates of a point."""
        point = self.values.value(node)
        if point.field.xtype != "point":
            raise self.values.error(node, f"{name} needs a point or two numbers here, not {kind_of(point.field)}.")
        if isinstance(point, Call) and point.op is Op.ARRAY:
            return [_uncast(each) for each in point.arguments]
        places = (Literal(place, Field(name="value", datatype=DataType.INT)) for place in (1, 2))
        double = Field(name="value", datatype=DataType.DOUBLE)
        return [Call(Op.ELEMENT, (point, place), double) for place in places]

    def _mod(self, node: exp.Anonymous) -> Expression:
        left, right = (self.values.number(each, "MOD") for each in self.values.arguments(node, "MOD", 2, 2))
        whole = left.field.datatype.is_integer and right.field.datatype.is_integer
        datatype = DataType.LONG if whole else DataType.DOUBLE
        return Call(Op.MOD, (left, right), Field(name="mod", datatype=datatype))

    def _coalesce(self, node: exp.Anonymous) -> Expression:
        parts = [self.values.value(each) for each in self.values.arguments(node, "COALESCE", 1, 100)]
        first = next((part for part in parts if not constants.is_null(part)), parts[0])
        pairs = [self.values.pair(each, first, part) for each, part in zip(node.expressions, parts, strict=True)]
        known = [right for _, right in pairs]
        for part in known:
            first = replace(first, field=quantities.joint(first, part))
        return Call(Op.COALESCE, tuple(known), first.field)

    def _in_unit(self, node: exp.Anonymous) -> Expression:
        given = self.values.arguments(node, "IN_UNIT", 2, 2)
        operand, target = self.values.number(given[0], "IN_UNIT"), given[1]
        if not (isinstance(target, exp.Literal) and target.is_string):
            raise self.values.error(target, "the second argument of IN_UNIT must be a string such as 'arcsec'.")
        if len(target.name) > limits.MAX_NAME_CHARS:
            raise self.values.error(target, f"a unit may have at most {limits.MAX_NAME_CHARS} characters.")
        if operand.field.unit is None:
            raise self.values.error(given[0], "IN_UNIT needs a value whose unit is known; this one has none.")
        if not quantities.is_unit(target.name):
            message = f"'{target.name}' is not a unit of VOUnits, such as 'arcsec', 'mas/yr' or 'km.s**-1'."
            raise self.values.error(target, message)
        factor = quantities.factor(operand.field.unit, target.name)
        if factor is None:
            raise self.values.error(target, f"'{operand.field.unit}' cannot be converted to '{target.name}'.")
        result = replace(operand.field, datatype=DataType.DOUBLE, unit=target.name, utype=None)
        return Call(Op.MULTIPLY, (constants.as_double(operand), constants.number_of(factor)), result)

    def _aggregate(self, node: exp.Anonymous, name: str) -> Expression:
        if self.values.no_aggregates:
            raise self.values.error(node, f"{name} is an aggregate and may not stand in {self.values.no_aggregates}.")
        if self.values.in_aggregate:
            raise self.values.error(node, "an aggregate may not stand inside another.")
        op = functions.AGGREGATES[name]
        given, delimiter = self._aggregated(node, name, op)
        distinct = isinstance(given, exp.Distinct)
        if isinstance(given, exp.Distinct):
            if len(given.expressions) != 1:
                raise self.values.error(node, f"{name} takes one argument, not {len(given.expressions)}.")
            given = given.expressions[0]
        if isinstance(given, exp.Star):
            if op is not AggregateOp.COUNT or distinct:
                raise self.values.error(node, "only COUNT(*) takes '*'.")
            return Aggregate(op, None, False, Field(name="count", datatype=DataType.LONG, ucd="meta.number"))  # noqa: FBT003 -- plan node
        self.values.in_aggregate = True
        try:
            joins = op is AggregateOp.STRING_AGG
            argument = self.values.string(given, name.lower()) if joins else self.values.value(given)
        finally:
            self.values.in_aggregate = False
        self._check_aggregated(given, op, argument.field)
        return Aggregate(op, argument, distinct, quantities.aggregate(op, argument.field), delimiter)

    def _aggregated(self, node: exp.Anonymous, name: str, op: AggregateOp) -> tuple[exp.Expr, str]:
        """What is aggregated, and the delimiter of texts."""
        if op is not AggregateOp.STRING_AGG:
            (given,) = self.values.arguments(node, name, 1, 1)
            return given, ""
        given, delimiter = _distinct_apart(self.values.arguments(node, name.lower(), 1, 2))
        if not (isinstance(delimiter, exp.Literal) and delimiter.is_string):
            raise self.values.error(delimiter or node, "ivo_string_agg needs a constant string between the texts.")
        return given, str(delimiter.name)

    def _check_aggregated(self, node: exp.Expr, op: AggregateOp, operand: Field) -> None:
        if op in {AggregateOp.SUM, AggregateOp.AVG} and not is_number(operand):
            raise self.values.error(node, f"{op.name} needs a number, not {kind_of(operand)}.")
        if op in {AggregateOp.MIN, AggregateOp.MAX} and operand.xtype in {"point", "circle", "polygon"}:
            raise self.values.error(node, f"{op.name} needs values with an order, not {kind_of(operand)}.")


def _distinct_apart(given: list[exp.Expr]) -> tuple[exp.Expr, exp.Expr | None]:
    """(DISTINCT) value and delimiter; DISTINCT is read as if it held both."""
    if len(given) == 1 and isinstance(given[0], exp.Distinct) and len(given[0].expressions) == 2:  # noqa: PLR2004
        value, delimiter = given[0].expressions
        return exp.Distinct(expressions=[value]), delimiter
    return given[0], given[1] if len(given) > 1 else None


def _plain_field(name: str, signature: Signature, arguments: list[Expression]) -> Field:
    """The field of a plain function: rounding keeps unit and UCD, roots and powers compute with units."""
    datatype = signature.result or arguments[0].field.datatype
    unit, ucd = signature.unit, None
    if signature.op in {Op.ABS, Op.CEILING, Op.FLOOR, Op.ROUND, Op.TRUNCATE}:
        unit, ucd = arguments[0].field.unit, quantities.qualified(arguments[0].field.ucd)
    elif signature.op is Op.POWER:
        unit = quantities.power_unit(*arguments)
    elif signature.op is Op.SQRT:
        unit = quantities.root_unit(arguments[0])
    size = "*" if datatype is DataType.CHAR else None
    return Field(name=name, datatype=datatype, arraysize=size, unit=unit, ucd=ucd)


def _uncast(expression: Expression) -> Expression:
    """What a cast of a double to a double converts."""
    is_cast = isinstance(expression, Call) and expression.op is Op.CAST
    if is_cast and isinstance(expression, Call) and expression.arguments[0].field.datatype is DataType.DOUBLE:
        return expression.arguments[0]
    return expression
