"""Tells expressions that compute the same from others, in time linear in their size."""

from __future__ import annotations

from dataclasses import dataclass, field

from pachon.queries.plan import Aggregate, Call, ColumnRef, Exists, Expression, InQuery, Literal


@dataclass(slots=True)
class Sameness:
    """Numbers expressions: two have the same number if they compute the same, however their results are called."""

    _numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    _known: dict[int, tuple[Expression, int]] = field(default_factory=dict)
    """By identity; the expression is kept so that its identity stays its own."""

    def of(self, expression: Expression) -> int:
        """The number of an expression."""
        known = self._known.get(id(expression))
        if known is not None:
            return known[1]
        number = self._numbers.setdefault(self._key(expression), len(self._numbers))
        self._known[id(expression)] = expression, number
        return number

    def _key(self, expression: Expression) -> tuple[object, ...]:
        match expression:
            case ColumnRef():
                return ColumnRef, expression.source, expression.index
            case Literal():
                return Literal, expression.value, expression.field.datatype
            case Call():
                shape = expression.field.datatype, expression.field.arraysize
                return Call, expression.op, *shape, *map(self.of, expression.arguments)
            case Aggregate():
                argument = None if expression.argument is None else self.of(expression.argument)
                return Aggregate, expression.op, expression.distinct, argument, expression.delimiter
            case InQuery() | Exists():
                return type(expression), id(expression)
