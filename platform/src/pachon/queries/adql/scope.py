"""Names in force at a place of a query, and how they are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.queries.adql.dialect import ADQL
from pachon.queries.adql.text import error_at, start_of
from pachon.queries.adql.words import listing, suggestion
from pachon.queries.plan import Expression

_MOST_COMPARED = 2_000
"""Names looked through for near ones: a wide table has about 1,300 columns, and each comparison takes microseconds."""

_MOST_SHOWN_CHARS = 80
"""Of an expression in a message."""


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
    results: tuple[exp.Alias, ...] = ()
    """Expressions to which SELECT gives names: nothing in the block but ORDER BY may use these."""

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
            labels = [source.label for source in self.sources if source.columns.named(name)] or ["t"]
            message = f"column '{name.name}' is in more than one table: write which, as in {labels[0]}.{name.name}."
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
                raise self.unknown_source(node)
            return self.named(name, source.columns)
        found = self.named(name, self.visible)
        return self.parent._lookup(node) if found is None and self.parent else found  # noqa: SLF001 -- same class

    def unknown_source(self, node: exp.Column) -> QuerySyntaxError:
        """The error for a qualifier that names no table of FROM."""
        written = ".".join(node.args[part].name for part in ("db", "table") if node.args.get(part) is not None)
        known = [_label(source, with_schema=node.args.get("db") is not None) for source in self.sources]
        near = suggestion(written, known) or f"; FROM has {listing(known)}."
        return self.error(node, f"unknown table or alias '{written}'{near}")

    def _unknown(self, node: exp.Column) -> QuerySyntaxError:
        if (result := next((each for each in self.results if matches(node.this, each.alias)), None)) is not None:
            written = result.this.sql(dialect=ADQL)
            expression = written if len(written) <= _MOST_SHOWN_CHARS else "its expression"
            rule = "stands by itself in ORDER BY and nowhere else"
            return self.error(node, f"'{node.name}' is a name of SELECT, which {rule}: repeat {expression} here.")
        known: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            known += [column.name for column in scope.visible]
            scope = scope.parent
        columns = dict.fromkeys(known)
        near = suggestion(node.name, islice(columns, _MOST_COMPARED))
        if near:
            return self.error(node, f"unknown column '{node.name}'{near}")
        if node.this.args.get("quoted"):
            message = (
                f"unknown column '{node.name}': double quotes are for names; a string is written {_string(node.name)}."
            )
            return self.error(node, message)
        return self.error(node, f"unknown column '{node.name}'; there are {listing(list(columns))}.")


def _label(source: Source, *, with_schema: bool) -> str:
    return f"{source.schema}.{source.label}" if with_schema and source.schema else source.label


def _string(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def matches(identifier: exp.Expr, name: str) -> bool:
    """Whether an identifier means a name: exactly if quoted, else whatever the case (ADQL 2.1, section 2.1.3)."""
    if identifier.args.get("quoted"):
        return bool(identifier.name == name)
    return identifier.name.lower() == name.lower()
