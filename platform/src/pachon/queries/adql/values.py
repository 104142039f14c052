"""Binds values and conditions: names resolved, types checked, every node given a field."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.core.fields import DataType, Field
from pachon.queries.adql import constants, quantities
from pachon.queries.adql.calls import CallBinder
from pachon.queries.adql.casts import CastBinder
from pachon.queries.adql.functions import is_number, is_string, kind_of
from pachon.queries.adql.notes import Notes
from pachon.queries.adql.scope import Scope
from pachon.queries.adql.text import error_at, start_of
from pachon.queries.plan import (
    Call,
    ColumnRef,
    Exists,
    Expression,
    InQuery,
    Literal,
    Op,
    Query,
)

BOOLEAN = Field(name="value", datatype=DataType.BOOLEAN)
_TEXT = Field(name="value", datatype=DataType.CHAR, arraysize="*")
_TIMESTAMP = Field(name="value", datatype=DataType.TIMESTAMP)
_NULL = Literal(None, Field(name="value", datatype=DataType.INT))
_ARITHMETIC = {exp.Add: Op.ADD, exp.Sub: Op.SUBTRACT, exp.Mul: Op.MULTIPLY, exp.Div: Op.DIVIDE}
_COMPARE = {exp.EQ: Op.EQ, exp.NEQ: Op.NE, exp.LT: Op.LT, exp.LTE: Op.LE, exp.GT: Op.GT, exp.GTE: Op.GE}
_OPPOSITE = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.LT: Op.GE, Op.GE: Op.LT, Op.GT: Op.LE, Op.LE: Op.GT}

_YES_OR_NO = frozenset(
    {"CONTAINS", "INTERSECTS", "IVO_HASWORD", "IVO_HASHLIST_HAS", "IVO_NOCASEMATCH", "IVO_INTERVAL_OVERLAPS"}
)
"""Functions that give 1 or 0."""
_MOST_SHOWN_CHARS = 40

_Bind = Callable[[Any, Any], Expression]


@dataclass(slots=True)
class ValueBinder:
    """Binds the expressions of one clause.

    Parameters
    ----------
    bind_query
        Binds a subquery whose outer block is `scope`.
    notes
        What is told of the query, and its text.
    no_aggregates
        Why aggregates are refused here; empty if they are allowed.
    """

    notes: Notes
    scope: Scope
    bind_query: Callable[[exp.Expr, Scope], Query]
    no_aggregates: str = ""
    in_aggregate: bool = field(default=False, init=False)

    def condition(self, node: exp.Expr) -> Expression:
        """A search condition."""
        bind = self._CONDITIONS.get(type(node))
        if bind is None:
            if isinstance(node, exp.Anonymous):
                self.value(node)
            raise self.error(node, "expected a condition here, such as a comparison" + _condition_hint(node))
        return bind(self, node)

    def value(self, node: exp.Expr) -> Expression:
        """A value; geometries become arrays."""
        bind = self._VALUES.get(type(node))
        if bind is not None:
            return bind(self, node)
        if type(node) in self._CONDITIONS:
            raise self.error(node, "a condition may not stand here: expected a value.")
        if isinstance(node, exp.Query):
            raise self.error(node, "a subquery may stand only in FROM, after IN or after EXISTS.")
        raise self.error(node, "'*' may stand only as an item of SELECT or in COUNT(*).")

    def _chain(self, node: exp.Expr) -> Expression:
        op = Op.AND if isinstance(node, exp.And) else Op.OR
        return Call(op, tuple(self.condition(part) for part in _flat(node)), BOOLEAN)

    def _between(self, node: exp.Expr) -> Expression:
        at_least = self._compare(exp.GTE(this=node.this, expression=node.args["low"]))
        return Call(Op.AND, (at_least, self._compare(exp.LTE(this=node.this, expression=node.args["high"]))), BOOLEAN)

    def _column(self, node: exp.Column) -> Expression:
        if isinstance(node.this, exp.Star):
            raise self.error(node, "'*' may stand only as an item of SELECT or in COUNT(*).")
        return self.scope.resolve(node)

    def error(self, node: exp.Expr, message: str) -> QuerySyntaxError:
        """The error that refuses a node, with its position."""
        return error_at(self.notes.text, start_of(node), message)

    def _literal(self, node: exp.Literal, sign: str = "") -> Expression:
        if node.is_string:
            return constants.string(node.name)
        spelled = sign + node.name
        digits = spelled.lstrip("-").isdigit()
        found = constants.number(int(spelled) if digits else float(spelled))
        if found is None:
            raise self.error(node, f"the number {spelled} is too large{' for 64 bits' if digits else ''}.")
        return found

    def _negate(self, node: exp.Neg) -> Expression:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return self._literal(node.this, "-")
        operand = self.number(node.this, "'-'")
        return Call(Op.NEGATE, (operand,), _computed("negative", operand.field, unit=operand.field.unit))

    def number(self, node: exp.Expr, what: str) -> Expression:
        """A numeric value that `what` needs."""
        operand = self.value(node)
        if not is_number(operand.field):
            raise self.error(node, f"{what} needs a number, not {kind_of(operand.field)}.")
        return operand

    def string(self, node: exp.Expr, what: str) -> Expression:
        """A text that `what` needs."""
        operand = self.value(node)
        if not is_string(operand.field) and not constants.is_null(operand):
            raise self.error(node, f"{what} needs a string, not {kind_of(operand.field)}.")
        return replace(operand, field=_TEXT) if constants.is_null(operand) else operand

    def timestamp(self, node: exp.Expr, what: str) -> Expression:
        """A timestamp that `what` needs; text is read as one."""
        operand = self.value(node)
        if isinstance(operand, Literal) and isinstance(operand.value, str):
            operand = constants.timestamp(operand.value) or operand
        if operand.field.datatype is not DataType.TIMESTAMP and not constants.is_null(operand):
            raise self.error(node, f"{what} needs a timestamp, not {kind_of(operand.field)}.")
        return replace(operand, field=_TIMESTAMP) if constants.is_null(operand) else operand

    def _arithmetic(self, node: exp.Expr) -> Expression:
        op = _ARITHMETIC[type(node)]  # type: ignore[index]
        left, right = self.number(node.this, f"'{op}'"), self.number(node.expression, f"'{op}'")
        whole = left.field.datatype.is_integer and right.field.datatype.is_integer
        if op is Op.DIVIDE and whole:
            op = Op.INTEGER_DIVIDE
            self._note_truncation(node, left, right)
        if isinstance(left, Literal) and isinstance(right, Literal) and (known := constants.fold(op, left, right)):
            return known
        result = quantities.arithmetic(op, left, right, DataType.LONG if whole else DataType.DOUBLE)
        if op is Op.DIVIDE:
            left, right = constants.as_double(left), constants.as_double(right)
        return Call(op, (left, right), result)

    def _note_truncation(self, node: exp.Expr, left: Expression, right: Expression) -> None:
        """Tell of a division of whole numbers, unless it divides values into steps of a constant size."""
        why = "whole numbers divide to a whole number"
        if not isinstance(right, Literal):
            self.notes.add(node, f"{why}: multiply one side by 1.0 where the exact quotient is meant.")
        elif isinstance(left, Literal) and (quotient := constants.truncated(left, right)) is not None:
            written = f"{left.value}/{right.value}"
            self.notes.add(node, f"{written} is {quotient}, because {why}: {written}.0 is the exact quotient.")

    def _concat(self, node: exp.DPipe) -> Expression:
        parts = self.string(node.this, "'||'"), self.string(node.expression, "'||'")
        return Call(Op.CONCAT, parts, Field(name="value", datatype=DataType.CHAR, arraysize="*"))

    def _cast(self, node: exp.Cast) -> Expression:
        return CastBinder(self).value(node)

    def _compare(self, node: exp.Expr) -> Expression:
        op = _COMPARE[type(node)]  # type: ignore[index]
        if type(node.this) in _COMPARE:
            raise self.error(node, "one condition has one comparison: join two with AND or OR ('||' joins strings).")
        if isinstance(node.this, exp.Null) or isinstance(node.expression, exp.Null):
            words = "IS NOT NULL" if op is Op.NE else "IS NULL"
            self.notes.add(node, f"a comparison with NULL is never true: write {words}.")
        left, right = self.pair(node, self.value(node.this), self.value(node.expression))
        left, right = constants.as_whole(left, right), constants.as_whole(right, left)
        return _simplified(op, left, right) or Call(op, (left, right), BOOLEAN)

    def pair(self, node: exp.Expr, left: Expression, right: Expression) -> tuple[Expression, Expression]:
        """Both sides of a comparison, converted to one kind of value."""
        left, right = _adapted(left, right), _adapted(right, left)
        comparable = (
            (is_number(left.field) and is_number(right.field))
            or (is_string(left.field) and is_string(right.field))
            or (left.field.datatype is right.field.datatype and left.field.arraysize is right.field.arraysize is None)
            or constants.is_null(left)
            or constants.is_null(right)
        )
        if not comparable and DataType.TIMESTAMP in {left.field.datatype, right.field.datatype}:
            text = next((each.value for each in (left, right) if isinstance(each, Literal)), None)
            if isinstance(text, str):
                raise self.error(node, f"'{text}' is not a timestamp: expected {constants.TIMESTAMP_FORM}.")
        if not comparable:
            raise self.error(node, _incomparable(left, right))
        return left, right

    def _is_null(self, node: exp.Is) -> Expression:
        if not isinstance(node.expression, exp.Null):
            raise self.error(node, "after IS only NULL or NOT NULL may stand.")
        return Call(Op.IS_NULL, (self.value(node.this),), BOOLEAN)

    def _in(self, node: exp.In) -> Expression:
        operand = self.value(node.this)
        if (query := node.args.get("query")) is not None:
            bound = self.bind_query(query, self.scope)
            if len(bound.outputs) != 1:
                raise self.error(query, f"the query after IN must have one column, not {len(bound.outputs)}.")
            self.pair(node, operand, bound.outputs[0].expression)
            return InQuery(operand, bound, BOOLEAN)
        if not node.expressions:
            raise self.error(node, "IN needs a list of values or a query in parentheses.")
        items = [self.pair(item, operand, self.value(item)) for item in node.expressions]
        return Call(Op.IN, (items[0][0], *(constants.as_whole(right, operand) for _, right in items)), BOOLEAN)

    def _like(self, node: exp.Like | exp.ILike) -> Expression:
        word, op = ("LIKE", Op.LIKE) if isinstance(node, exp.Like) else ("ILIKE", Op.ILIKE)
        parts = self.string(node.this, word), self.string(node.expression, word)
        found = Call(op, parts, BOOLEAN)
        return Call(Op.NOT, (found,), BOOLEAN) if node.args.get("negate") else found

    def arguments(self, node: exp.Anonymous, name: str, least: int, most: int) -> list[exp.Expr]:
        """The arguments of a call, whose number is checked."""
        given = node.expressions
        if not least <= len(given) <= most:
            allowed = str(least) if least == most else f"{least} to {most}"
            raise self.error(node, f"{name} takes {allowed} argument{'' if allowed == '1' else 's'}, not {len(given)}.")
        return list(given)

    def _function(self, node: exp.Anonymous) -> Expression:
        return CallBinder(self).value(node)

    _CONDITIONS: ClassVar[dict[type[exp.Expr], _Bind]] = {
        exp.Paren: lambda binder, node: binder.condition(node.this),
        exp.And: _chain,
        exp.Or: _chain,
        exp.Not: lambda binder, node: _negated(binder.condition(node.this)),
        exp.Exists: lambda binder, node: Exists(binder.bind_query(node.this, binder.scope), BOOLEAN),
        exp.Is: _is_null,
        exp.Between: _between,
        exp.In: _in,
        exp.Like: _like,
        exp.ILike: _like,
        **dict.fromkeys(_COMPARE, _compare),
    }

    _VALUES: ClassVar[dict[type[exp.Expr], _Bind]] = {
        exp.Paren: lambda binder, node: binder.value(node.this),
        exp.Literal: _literal,
        exp.Null: lambda _binder, _node: _NULL,
        exp.Boolean: lambda _binder, node: Literal(bool(node.this), BOOLEAN),
        exp.Column: _column,
        exp.Neg: _negate,
        exp.DPipe: _concat,
        exp.Cast: _cast,
        exp.Anonymous: _function,
        **dict.fromkeys(_ARITHMETIC, _arithmetic),
    }


def _flat(node: exp.Expr) -> list[exp.Expr]:
    """The terms of a chain of AND or OR, without recursion: chains may be thousands long."""
    kind, terms = type(node), []
    while isinstance(node, kind):
        terms.append(node.expression)
        node = node.this
    terms.append(node)
    return terms[::-1]


def _negated(condition: Expression) -> Expression:
    """A comparison turned round, so that what is known of comparisons is known of negated ones; else NOT of it."""
    if isinstance(condition, Call) and condition.op in _OPPOSITE:
        return replace(condition, op=_OPPOSITE[condition.op])
    return Call(Op.NOT, (condition,), BOOLEAN)


def _condition_hint(node: exp.Expr) -> str:
    while isinstance(node, exp.Paren):
        node = node.this
    name = str(node.this).upper() if isinstance(node, exp.Anonymous) else ""
    if name:
        return f": write 1 = {name}(...)." if name in _YES_OR_NO else f": compare what {name}(...) gives with a value."
    if isinstance(node, exp.Column):
        return f": write {node.name} = TRUE for a column of truth values."
    return "."


def _incomparable(left: Expression, right: Expression) -> str:
    """Which side is what, and how the other one would be written if quotes are the mistake."""
    message = f"{kind_of(left.field)} cannot be compared with {kind_of(right.field)}"
    known = [f"{name} is {kind_of(side.field)}" for side in (left, right) if (name := _name_of(side))]
    constant, other = (right, left) if isinstance(right, Literal) else (left, right)
    if isinstance(constant, Literal) and is_number(other.field) and _is_number_text(constant.value):
        known.append(f"write {constant.value} without quotes")
    elif isinstance(constant, Literal) and is_number(constant.field) and is_string(other.field):
        known.append(f"write '{constant.value}' for a string")
    return f"{message}{': ' if known else ''}{', '.join(known)}."


def _name_of(side: Expression) -> str:
    if isinstance(side, Literal):
        text = str(side.value)
        shown = text if len(text) <= _MOST_SHOWN_CHARS else f"{text[:_MOST_SHOWN_CHARS]}..."
        return f"'{shown}'" if isinstance(side.value, str) else shown
    return side.field.name if isinstance(side, ColumnRef) else ""


def _is_number_text(value: object) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _simplified(op: Op, left: Expression, right: Expression) -> Expression | None:
    """`CONTAINS(...) = 1` and its relatives as the truth value they stand for."""
    if isinstance(left, Literal):
        left, right = right, left
    inside = _truth(left)
    if inside is None or op not in {Op.EQ, Op.NE} or not isinstance(right, Literal) or right.value not in {0, 1}:
        return None
    wanted = (right.value == 1) == (op is Op.EQ)
    return inside if wanted else Call(Op.NOT, (inside,), BOOLEAN)


def _truth(expression: Expression) -> Expression | None:
    is_cast = isinstance(expression, Call) and expression.op is Op.CAST
    if is_cast and isinstance(expression, Call) and expression.arguments[0].field == BOOLEAN:
        return expression.arguments[0]
    return None


def _adapted(side: Expression, other: Expression) -> Expression:
    """A literal in the type of the value it is compared with."""
    if not isinstance(side, Literal):
        return side
    if constants.is_null(side):
        return replace(side, field=other.field)
    target = other.field.datatype
    if target is DataType.TIMESTAMP and isinstance(side.value, str):
        return constants.timestamp(side.value) or side
    if target is DataType.BOOLEAN and side.value in {0, 1} and not isinstance(side.value, float):
        return Literal(bool(side.value), BOOLEAN)
    return side


def _computed(name: str, operand: Field, *, unit: str | None) -> Field:
    datatype = DataType.LONG if operand.datatype.is_integer else DataType.DOUBLE
    return Field(name=name, datatype=datatype, unit=unit)
