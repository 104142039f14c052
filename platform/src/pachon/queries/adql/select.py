"""Binds one query block: SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ... ORDER BY."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.queries.adql.cover import covered
from pachon.queries.adql.notes import Notes
from pachon.queries.adql.pairs import paired
from pachon.queries.adql.sameness import Sameness
from pachon.queries.adql.scope import Scope, matches
from pachon.queries.adql.values import ValueBinder
from pachon.queries.plan import (
    Aggregate,
    Call,
    ColumnRef,
    Expression,
    InQuery,
    Literal,
    Ordering,
    Output,
    Query,
    Relation,
    Select,
)


class Queries(Protocol):
    """What is needed of the binder of whole queries."""

    @property
    def notes(self) -> Notes:
        """What is told of the query."""
        ...

    @property
    def named(self) -> list[Query]:
        """The queries of WITH so far."""
        ...

    def relation(self, node: exp.Expr, scope: Scope) -> Relation:
        """A table reference; its columns are added to the scope."""
        ...

    def joined(self, relation: Relation, joins: list[exp.Join], scope: Scope) -> Relation:
        """A relation with the joins that follow it."""
        ...

    def subquery(self, node: exp.Expr, outer: Scope) -> Query:
        """A query after IN or EXISTS."""
        ...

    def position(self, node: exp.Expr, count: int) -> int:
        """A column position in ORDER BY, from 0."""
        ...

    def count_columns(self, count: int) -> None:
        """Take note of further result columns."""
        ...

    def count(self, node: exp.Expr, what: str) -> int:
        """The whole number after TOP or OFFSET."""
        ...

    def offset(self, node: exp.Expr) -> int | None:
        """OFFSET of a query."""
        ...

    def error(self, node: exp.Expr, message: str) -> QuerySyntaxError:
        """The error that refuses a node."""
        ...


@dataclass(slots=True)
class SelectBinder:
    """Binds one SELECT.

    Parameters
    ----------
    binder
        Binds what stands around and inside it.
    scope
        Empty; it is filled from FROM.
    """

    binder: Queries
    node: exp.Select
    scope: Scope
    same: Sameness = field(default_factory=Sameness, init=False)

    def select(self) -> Select:
        """The bound block."""
        source = self._source()
        self.scope.results = tuple(item for item in self.node.expressions if isinstance(item, exp.Alias))
        where = self._where()
        values = self._values("")
        groups = self._groups()
        outputs = self._outputs(values)
        having_node = self.node.args.get("having")
        having = None if having_node is None else self._values("").condition(having_node.this)
        order = self._order(outputs)
        found = (*(output.expression for output in outputs), having, *(key.expression for key in order))
        if groups is None and any(each is not None and _aggregates(each) for each in found):
            groups = ()
        if groups is None and having is not None:
            groups = ()
        if groups is not None:
            self._check_groups(outputs, having, order, groups)
        distinct = self.node.args.get("distinct") is not None
        results = {self.same.of(output.expression) for output in outputs}
        if distinct and any(self.same.of(key.expression) not in results for key in order):
            raise self.binder.error(
                self.node.args["order"], "with DISTINCT, rows can be sorted by result columns only."
            )
        limit = self.node.args.get("limit")
        return Select(
            outputs=outputs,
            source=paired(covered(source, where, self.binder.named), where),
            where=where,
            groups=groups,
            having=having,
            distinct=distinct,
            order=order,
            offset=self.binder.offset(self.node),
            limit=None if limit is None else self.binder.count(limit.expression, "TOP"),
        )

    def _values(self, no_aggregates: str) -> ValueBinder:
        return ValueBinder(self.binder.notes, self.scope, self.binder.subquery, no_aggregates)

    def _source(self) -> Relation:
        clause = self.node.args.get("from_")
        if clause is None:
            raise self.binder.error(self.node, "a query needs FROM with at least one table.")
        relation = self.binder.relation(clause.this, self.scope)
        return self.binder.joined(relation, self.node.args.get("joins") or [], self.scope)

    def _where(self) -> Expression | None:
        clause = self.node.args.get("where")
        return (
            None
            if clause is None
            else self._values("WHERE; use HAVING, or IN (SELECT ... FROM ...)").condition(clause.this)
        )

    def _groups(self) -> tuple[Expression, ...] | None:
        clause = self.node.args.get("group")
        if clause is None:
            return None
        values = self._values("GROUP BY")
        for each in clause.expressions:
            if isinstance(each, exp.Literal):
                raise self.binder.error(each, "GROUP BY takes columns or expressions, not positions.")
        return tuple(values.value(each) for each in clause.expressions)

    def _outputs(self, values: ValueBinder) -> tuple[Output, ...]:
        taken: dict[str, int] = {}
        outputs: list[Output] = []
        for item in self.node.expressions:
            found = self._items(item, values)
            self.binder.count_columns(len(found))
            outputs += [self._unique(name, expression, taken) for name, expression in found]
        if not outputs:
            raise self.binder.error(self.node, "SELECT needs at least one column.")
        return tuple(outputs)

    def _items(self, item: exp.Expr, values: ValueBinder) -> list[tuple[str, Expression]]:
        if isinstance(item, exp.Star):
            return [(column.name, column.expression) for column in self.scope.visible]
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            return self._all_of(item)
        if isinstance(item, exp.Alias):
            return [(item.args["alias"].name, values.value(item.this))]
        expression = values.value(item)
        return [(expression.field.name, expression)]

    def _all_of(self, item: exp.Column) -> list[tuple[str, Expression]]:
        qualifier = item.args["table"]
        source = self.scope.source(qualifier, item.args.get("db"))
        if source is None:
            raise self.scope.unknown_source(item)
        return [(column.name, column.expression) for column in source.columns]

    def _unique(self, name: str, expression: Expression, taken: dict[str, int]) -> Output:
        unique, number = name, taken.get(name.lower(), 1)
        while unique.lower() in taken:
            number += 1
            unique = f"{name}_{number}"
        taken[name.lower()] = number
        taken.setdefault(unique.lower(), 1)
        if expression.field.name == unique:
            return Output(unique, expression)
        return Output(unique, replace(expression, field=replace(expression.field, name=unique)))

    def _order(self, outputs: tuple[Output, ...]) -> tuple[Ordering, ...]:
        clause = self.node.args.get("order")
        if clause is None:
            return ()
        by_name = {output.name.lower(): output for output in outputs}
        computed: dict[int, Expression] = {}
        for output in outputs:
            computed.setdefault(self.same.of(output.expression), output.expression)

        def key(node: exp.Expr) -> Expression:
            if isinstance(node, exp.Literal) and not node.is_string:
                return outputs[self.binder.position(node, len(outputs))].expression
            if isinstance(node, exp.Column) and not node.args.get("table"):
                named = by_name.get(node.name.lower())
                if named is not None and matches(node.this, named.name):
                    return named.expression
            expression = self._values("").value(node)
            return computed.get(self.same.of(expression), expression)

        keys = (Ordering(key(each.this), bool(each.args.get("desc"))) for each in clause.expressions)
        return tuple(each for each in keys if not isinstance(each.expression, Literal))  # a constant sorts nothing

    def _check_groups(
        self,
        outputs: tuple[Output, ...],
        having: Expression | None,
        order: tuple[Ordering, ...],
        groups: tuple[Expression, ...],
    ) -> None:
        keys = {self.same.of(group) for group in groups}
        own = self._own_sources()
        for output in outputs:
            self._check_grouped(output.expression, keys, own, self.node)
        if having is not None:
            self._check_grouped(having, keys, own, self.node.args["having"])
        for key in order:
            self._check_grouped(key.expression, keys, own, self.node.args["order"])

    def _check_grouped(self, expression: Expression, keys: set[int], own: set[int], node: exp.Expr) -> None:
        if self.same.of(expression) in keys or isinstance(expression, Aggregate | Literal):
            return
        if isinstance(expression, ColumnRef) and expression.source in own:
            name = expression.field.name
            place = next((c for c in node.find_all(exp.Column) if self._means(c, expression)), node)
            has_groups = self.node.args.get("group") is not None
            way = (
                f"add it to GROUP BY, or write MIN({name})"
                if has_groups
                else f"add GROUP BY {name}, or write MIN({name})"
            )
            message = (
                f"column '{name}' has many values in a group: it must stand in GROUP BY or inside an aggregate; {way}."
            )
            raise self.binder.error(place, message)
        if isinstance(expression, Call):
            for argument in expression.arguments:
                self._check_grouped(argument, keys, own, node)
        if isinstance(expression, InQuery):
            self._check_grouped(expression.operand, keys, own, node)

    def _own_sources(self) -> set[int]:
        """Numbers of the sources of this block; a column of a block around is constant here."""
        columns = (column.expression for source in self.scope.sources for column in source.columns)
        return {column.source for column in columns if isinstance(column, ColumnRef)}

    def _means(self, node: exp.Column, expression: ColumnRef) -> bool:
        if isinstance(node.this, exp.Star) or node.find_ancestor(exp.Select) is not self.node:
            return False
        known = bool(self.scope.visible.named(node.this))
        return known and self.same.of(self.scope.resolve(node)) == self.same.of(expression)


def _aggregates(expression: Expression) -> bool:
    match expression:
        case Aggregate():
            return True
        case Call():
            return any(_aggregates(argument) for argument in expression.arguments)
        case InQuery():
            return _aggregates(expression.operand)
        case _:
            return False
