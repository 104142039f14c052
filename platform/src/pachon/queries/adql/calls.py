"""Binds calls of functions by name: plain ones, aggregates, conversions of units; geometry goes to its own binder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import astropy.units as u
from sqlglot import exp

from pachon.core.fields import DataType, Field
from pachon.queries.adql import constants, functions, limits, shapes
from pachon.queries.adql.functions import Kind, is_number, kind_of
from pachon.queries.adql.shapes import ShapeBinder
from pachon.queries.adql.words import suggestion
from pachon.queries.plan import Aggregate, AggregateOp, Call, Expression, Literal, Op


class Values(shapes.Values, Protocol):
    """What is needed of the binder of values."""

    no_aggregates: str
    in_aggregate: bool

    def string(self, node: exp.Expr, what: str) -> Expression:
        """A text."""
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
        if isinstance(node.this, exp.Expr) or name not in functions.KNOWN:
            reason = functions.REFUSED.get(name)
            near = suggestion(name, functions.KNOWN)
            raise self.values.error(node, f"{reason}." if reason else f"unknown function '{node.this}'{near or '.'}")
        if name in functions.AGGREGATES:
            return self._aggregate(node, name)
        for argument in node.expressions:
            if isinstance(argument, exp.Star | exp.Distinct):
                raise self.values.error(argument, f"{name} takes neither '*' nor DISTINCT.")
        if name in functions.PLAIN:
            return self._plain(node, name)
        if name in functions.GEOMETRY:
            return ShapeBinder(self.values).value(node, name)
        return {"MOD": self._mod, "COALESCE": self._coalesce, "IN_UNIT": self._in_unit}[name](node)

    def _plain(self, node: exp.Anonymous, name: str) -> Expression:
        signature = functions.PLAIN[name]
        given = self.values.arguments(node, name, signature.required, len(signature.kinds))
        arguments = []
        for argument, kind in zip(given, signature.kinds, strict=False):
            bound = self.values.string(argument, name) if kind is Kind.STRING else self.values.number(argument, name)
            if kind is Kind.INTEGER and not bound.field.datatype.is_integer:
                raise self.values.error(argument, f"{name} needs {kind.value} here.")
            arguments.append(bound)
        datatype = signature.result or arguments[0].field.datatype
        inherits = arguments and signature.op in {Op.ABS, Op.CEILING, Op.FLOOR, Op.ROUND, Op.TRUNCATE}
        unit = signature.unit or (arguments[0].field.unit if inherits else None)
        size = "*" if datatype is DataType.CHAR else None
        if signature.result is DataType.DOUBLE:
            arguments = [
                constants.as_double(arg) if kind is Kind.NUMBER else arg
                for arg, kind in zip(arguments, signature.kinds, strict=False)
            ]
        return Call(
            signature.op, tuple(arguments), Field(name=name.lower(), datatype=datatype, arraysize=size, unit=unit)
        )

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
        return Call(Op.COALESCE, tuple(known), _common(first.field, [part.field for part in known]))

    def _in_unit(self, node: exp.Anonymous) -> Expression:
        given = self.values.arguments(node, "IN_UNIT", 2, 2)
        operand, target = self.values.number(given[0], "IN_UNIT"), given[1]
        if not (isinstance(target, exp.Literal) and target.is_string):
            raise self.values.error(target, "the second argument of IN_UNIT must be a string such as 'arcsec'.")
        if len(target.name) > limits.MAX_NAME_CHARS:
            raise self.values.error(target, f"a unit may have at most {limits.MAX_NAME_CHARS} characters.")
        if operand.field.unit is None:
            raise self.values.error(given[0], "IN_UNIT needs a value whose unit is known; this one has none.")
        factor = _factor(operand.field.unit, target.name)
        if factor is None:
            raise self.values.error(target, f"'{operand.field.unit}' cannot be converted to '{target.name}'.")
        scale = Literal(factor, Field(name="value", datatype=DataType.DOUBLE))
        result = replace(operand.field, datatype=DataType.DOUBLE, unit=target.name, utype=None)
        return Call(Op.MULTIPLY, (operand, scale), result)

    def _aggregate(self, node: exp.Anonymous, name: str) -> Expression:
        if self.values.no_aggregates:
            raise self.values.error(node, f"{name} is an aggregate and may not stand in {self.values.no_aggregates}.")
        if self.values.in_aggregate:
            raise self.values.error(node, "an aggregate may not stand inside another.")
        op = functions.AGGREGATES[name]
        (given,) = self.values.arguments(node, name, 1, 1)
        distinct = isinstance(given, exp.Distinct)
        if isinstance(given, exp.Distinct):
            if len(given.expressions) != 1:
                raise self.values.error(node, f"{name} takes one argument, not {len(given.expressions)}.")
            given = given.expressions[0]
        if isinstance(given, exp.Star):
            if op is not AggregateOp.COUNT or distinct:
                raise self.values.error(node, "only COUNT(*) takes '*'.")
            return Aggregate(op, None, False, Field(name="count", datatype=DataType.LONG))  # noqa: FBT003 -- plan node
        self.values.in_aggregate = True
        try:
            argument = self.values.value(given)
        finally:
            self.values.in_aggregate = False
        if op in {AggregateOp.SUM, AggregateOp.AVG} and not is_number(argument.field):
            raise self.values.error(given, f"{name} needs a number, not {kind_of(argument.field)}.")
        return Aggregate(op, argument, distinct, _aggregate_field(op, argument.field))


@lru_cache(maxsize=1_000)
def _factor(unit: str, target: str) -> float | None:
    """How many of one VOUnit another is; None if it cannot be said."""
    try:
        return float(u.Unit(unit, format="vounit").to(u.Unit(target, format="vounit")))
    except (ValueError, u.UnitConversionError, TypeError):
        return None


def _common(first: Field, others: list[Field]) -> Field:
    """The field that holds the values of all."""
    if not first.datatype.is_numeric:
        return first
    order = list(DataType)
    widest = max(
        (other.datatype for other in others if other.datatype.is_numeric), key=order.index, default=first.datatype
    )
    return replace(first, datatype=widest)


def _aggregate_field(op: AggregateOp, operand: Field) -> Field:
    name = op.value
    match op:
        case AggregateOp.COUNT:
            return Field(name=name, datatype=DataType.LONG)
        case AggregateOp.SUM:
            datatype = DataType.LONG if operand.datatype.is_integer else DataType.DOUBLE
            return Field(name=name, datatype=datatype, unit=operand.unit)
        case AggregateOp.AVG:
            return Field(name=name, datatype=DataType.DOUBLE, unit=operand.unit)
        case AggregateOp.MIN | AggregateOp.MAX:
            return replace(operand, name=name, description=None, utype=None)
