"""Names in force at a place of a query, and how they are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.queries.adql.text import error_at, start_of
from pachon.queries.adql.words import suggestion
from pachon.queries.plan import Expression

_MOST_COMPARED = 2_000
"""Names looked through for near ones: a wide table has about 1,300 columns, and each comparison takes microseconds."""


@dataclass(frozen=True, slots=True)
class Visible:
    """A column under the name it can be written with."""

    name: str
    expression: Expression


class Columns:
    """Columns in order, found by name at once; names may occur more than once."""

    __slots__ = ("_by_name", "_columns")

    def __init__(self, columns: Iterable[Visible] = ()) -> None:
        self._columns = list(columns)
        self._by_name: dict[str, list[Visible]] | None = None

    def __iter__(self) -> Iterator[Visible]:
        return iter(self._columns)

    def extend(self, columns: Iterable[Visible]) -> None:
        """Add columns at the end."""
        self._columns.extend(columns)
        self._by_name = None

    def named(self, name: exp.Expr) -> list[Visible]:
        """All columns that an identifier means."""
        if self._by_name is None:
            self._by_name = {}
            for column in self._columns:
                self._by_name.setdefault(column.name.lower(), []).append(column)
        return [column for column in self._by_name.get(name.name.lower(), ()) if matches(name, column.name)]


@dataclass(frozen=True, slots=True)
class Source:
    """One table of FROM.

    Parameters
    ----------
    label
        Alias, or the bare name of the table.
    schema
        Schema, if the table has no alias and can be written `schema.table`.
    """

    label: str
    schema: str | None
    columns: Columns


@dataclass(slots=True)
class Scope:
    """The sources of one query block; `parent` is the block around it."""

    text: str
    sources: list[Source] = field(default_factory=list)
    visible: Columns = field(default_factory=Columns)
    parent: Scope | None = None
    results: tuple[str, ...] = ()
    """Names that SELECT gives to its columns: nothing in the block but ORDER BY may use them."""

    def add(self, source: Source) -> None:
        """Add a source and all its columns."""
        self.sources.append(source)
        self.visible.extend(source.columns)

    def resolve(self, node: exp.Column) -> Expression:
        """The column a reference means.

        Raises
        ------
        QuerySyntaxError
            Unknown or ambiguous, with the nearest names.
        """
        found = self._lookup(node)
        if found is None:
            raise self._unknown(node)
        return found

    def source(self, qualifier: exp.Expr, schema: exp.Expr | None) -> Source | None:
        """The source a qualifier means, here or in a block around."""
        for source in self.sources:
            if matches(qualifier, source.label) and (
                schema is None or (source.schema is not None and matches(schema, source.schema))
            ):
                return source
        return self.parent.source(qualifier, schema) if self.parent else None

    def named(self, name: exp.Expr, among: Columns) -> Expression | None:
        """The only column of that name.

        Raises
        ------
        QuerySyntaxError
            If there are several.
        """
        found = among.named(name)
        if len(found) > 1:
            message = f"column '{name.name}' is in more than one table: write which, as in t.{name.name}."
            raise self.error(name, message)
        return found[0].expression if found else None

    def error(self, node: exp.Expr, message: str) -> QuerySyntaxError:
        """An error at a node."""
        return error_at(self.text, start_of(node), message)

    def _lookup(self, node: exp.Column) -> Expression | None:
        name, qualifier = node.this, node.args.get("table")
        if qualifier is not None:
            source = self.source(qualifier, node.args.get("db"))
            if source is None:
                known = [source.label for source in self.sources]
                message = f"unknown table or alias '{qualifier.name}'{suggestion(qualifier.name, known) or '.'}"
                raise self.error(node, message)
            return self.named(name, source.columns)
        found = self.named(name, self.visible)
        return self.parent._lookup(node) if found is None and self.parent else found  # noqa: SLF001 -- same class

    def _unknown(self, node: exp.Column) -> QuerySyntaxError:
        known: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            known += [column.name for column in scope.visible]
            scope = scope.parent
        if any(matches(node.this, name) for name in self.results):
            message = f"'{node.name}' is a name of SELECT, which only ORDER BY may use: repeat its expression here."
            return self.error(node, message)
        near = suggestion(node.name, islice(dict.fromkeys(known), _MOST_COMPARED))
        return self.error(node, f"unknown column '{node.name}'{near or '.'}")


def matches(identifier: exp.Expr, name: str) -> bool:
    """Whether an identifier means a name: exactly if quoted, else whatever the case (ADQL 2.1, section 2.1.3)."""
    if identifier.args.get("quoted"):
        return bool(identifier.name == name)
    return identifier.name.lower() == name.lower()
