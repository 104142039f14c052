"""Which columns of an answer hold the values of a stored column as they are, whatever the query calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pachon.core.fields import DataType, Field
from pachon.queries.plan import ColumnRef, Derived, Expression, Join, NamedRows, Plan, Query, Relation, Scan, Select


def told_fields(plan: Plan) -> tuple[Field, ...]:
    """The fields of a plan's result, each with its origin; texts without one are `unicodeChar`, since nobody checked.

    An origin is followed through aliases, joins, queries in FROM and WITH, and through set operations whose two sides
    agree; what is computed has none.
    """
    trail = _Trail(plan)
    origins = (trail.of_output(plan.query, place) for place in range(len(plan.fields)))
    return tuple(_told(field, origin) for field, origin in zip(plan.fields, origins, strict=True))


def _told(field: Field, origin: str) -> Field:
    is_unicode = field.is_unicode or (field.datatype is DataType.CHAR and not origin)
    return replace(field, origin=origin, is_unicode=is_unicode)


class _Trail:
    """Follows columns of one plan back to where they are stored."""

    def __init__(self, plan: Plan) -> None:
        self._named = plan.named
        self._sources: dict[int, Scan | Derived | NamedRows] = {}
        self._known: dict[tuple[int, int], str] = {}
        for query in (*plan.named, plan.query):
            self._sources |= {source.source: source for source in _sources_of(query)}

    def of_output(self, query: Query, place: int) -> str:
        """The origin of an output of a query; empty for none."""
        if isinstance(query, Select):
            return self._of_expression(query.outputs[place].expression)
        left, right = self.of_output(query.left, place), self.of_output(query.right, place)
        return left if left == right else ""

    def _of_expression(self, expression: Expression) -> str:
        if not isinstance(expression, ColumnRef):
            return ""
        key = (expression.source, expression.index)
        if key not in self._known:
            self._known[key] = self._of_column(*key)
        return self._known[key]

    def _of_column(self, number: int, index: int) -> str:
        match self._sources.get(number):
            case Scan(snapshot=snapshot):
                return f"{snapshot.table.qualified_name}.{snapshot.table.columns[index].name}"
            case Derived(query=query):
                return self.of_output(query, index)
            case NamedRows(name=name):
                return self.of_output(self._named[name], index)
            case _:
                return ""


def _sources_of(query: Query) -> Iterator[Scan | Derived | NamedRows]:
    """The sources in FROM, those of queries in FROM included."""
    if isinstance(query, Select):
        yield from _sources_in(query.source)
    else:
        yield from _sources_of(query.left)
        yield from _sources_of(query.right)


def _sources_in(relation: Relation) -> Iterator[Scan | Derived | NamedRows]:
    if isinstance(relation, Join):
        yield from _sources_in(relation.left)
        yield from _sources_in(relation.right)
        return
    yield relation
    if isinstance(relation, Derived):
        yield from _sources_of(relation.query)
