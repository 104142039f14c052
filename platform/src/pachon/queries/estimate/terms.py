"""Conditions taken apart: their terms, the sources they name, and the plain comparisons among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pachon.queries.estimate.values import Key
from pachon.queries.plan import (
    Aggregate,
    Call,
    ColumnRef,
    Derived,
    Exists,
    Expression,
    InQuery,
    Join,
    Literal,
    NamedRows,
    Op,
    Plan,
    Query,
    Relation,
    SetOperation,
)

FLIPPED = {Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE, Op.EQ: Op.EQ}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column op value`, with `op` one of =, <, <=, >, >=."""

    column: ColumnRef
    op: Op
    value: float | str


def comparison(term: Expression) -> Comparison | None:
    """A term as a comparison of a column with a number or a text, if it is one."""
    if not isinstance(term, Call) or term.op not in FLIPPED or len(term.arguments) != 2:  # noqa: PLR2004 -- two sides
        return None
    left, right, op = *term.arguments, term.op
    if isinstance(left, Literal):
        left, right, op = right, left, FLIPPED[op]
    if isinstance(left, Call) and left.op is Op.CAST:
        left = left.arguments[0]
    if not isinstance(left, ColumnRef) or not isinstance(right, Literal) or right.value is None:
        return None
    return Comparison(left, op, right.value if isinstance(right.value, str) else float(right.value))


def key_pair(term: Expression) -> tuple[Expression, Expression] | None:
    """The two sides of a term that says they are equal."""
    if isinstance(term, Call) and term.op is Op.EQ and not any(isinstance(side, Literal) for side in term.arguments):
        return term.arguments[0], term.arguments[1]
    return None


def columns_of(expression: Expression | None) -> Iterator[Key]:
    """The columns an expression reads, those of its subqueries too."""
    match expression:
        case ColumnRef():
            yield expression.source, expression.index
        case Call():
            for argument in expression.arguments:
                yield from columns_of(argument)
        case Aggregate():
            yield from columns_of(expression.argument)
        case InQuery():
            yield from columns_of(expression.operand)
            yield from columns_of_query(expression.query)
        case Exists():
            yield from columns_of_query(expression.query)
        case _:
            return


def used_columns(plan: Plan) -> dict[int, set[int]]:
    """Columns that must be read, by source: an output that nobody above reads needs none."""
    used = _Used({}, {})
    used.query(plan.query, None)
    for number in reversed(range(len(plan.named))):
        used.query(plan.named[number], used.named.get(number, set()))
    return used.columns


@dataclass(slots=True)
class _Used:
    columns: dict[int, set[int]]
    named: dict[int, set[int]]

    def query(self, query: Query, wanted: set[int] | None) -> None:
        """Note what a query reads, of its outputs those wanted; None for all."""
        if isinstance(query, SetOperation):
            needed = wanted if query.all_rows else None
            self.query(query.left, needed)
            self.query(query.right, needed)
            return
        for number, output in enumerate(query.outputs):
            if wanted is None or query.distinct or number in wanted:
                self._note(output.expression)
        keys = (key.expression for key in query.order)
        for each in (query.where, query.having, *(query.groups or ()), *keys, *expressions_of(query.source)):
            self._note(each)
        self._relation(query.source)

    def _note(self, expression: Expression | None) -> None:
        match expression:
            case ColumnRef():
                self.columns.setdefault(expression.source, set()).add(expression.index)
            case Call():
                for argument in expression.arguments:
                    self._note(argument)
            case Aggregate():
                self._note(expression.argument)
            case InQuery():
                self._note(expression.operand)
                self.query(expression.query, None)
            case Exists():
                self.query(expression.query, set())
            case _:
                return

    def _relation(self, relation: Relation) -> None:
        match relation:
            case Join():
                self._relation(relation.left)
                self._relation(relation.right)
            case Derived():
                self.query(relation.query, self.columns.get(relation.source, set()))
            case NamedRows():
                self.named.setdefault(relation.name, set()).update(self.columns.get(relation.source, set()))
            case _:
                return


def columns_of_query(query: Query) -> Iterator[Key]:
    """The columns a query reads, at any depth."""
    if isinstance(query, SetOperation):
        yield from columns_of_query(query.left)
        yield from columns_of_query(query.right)
        return
    for expression in expressions_of(query.source):
        yield from columns_of(expression)
    yield from _of_relation(query.source)
    outputs = (output.expression for output in query.outputs)
    keys = (key.expression for key in query.order)
    for each in (*outputs, query.where, query.having, *(query.groups or ()), *keys):
        yield from columns_of(each)


def _of_relation(relation: Relation) -> Iterator[Key]:
    if isinstance(relation, Join):
        yield from _of_relation(relation.left)
        yield from _of_relation(relation.right)
    elif hasattr(relation, "query"):
        yield from columns_of_query(relation.query)


def expressions_of(relation: Relation) -> Iterator[Expression]:
    """The conditions of the joins of a relation."""
    if isinstance(relation, Join):
        yield from expressions_of(relation.left)
        yield from expressions_of(relation.right)
        if relation.condition is not None:
            yield relation.condition


def reads_only(expression: Expression, sources: frozenset[int]) -> bool:
    """Whether an expression reads nothing but some sources."""
    return all(source in sources for source, _ in columns_of(expression))
