"""Binds a checked tree to the tables a person may see: names, types and rules of ADQL 2.1 -> a typed plan."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.core.fields import Field
from pachon.queries.adql import grammar, limits, quantities
from pachon.queries.adql.constants import is_null
from pachon.queries.adql.cover import demanded
from pachon.queries.adql.functions import is_string, kind_of
from pachon.queries.adql.notes import Notes
from pachon.queries.adql.scope import Columns, Scope, Source, Visible, matches
from pachon.queries.adql.select import SelectBinder
from pachon.queries.adql.text import error_at, start_of
from pachon.queries.adql.values import BOOLEAN, ValueBinder
from pachon.queries.adql.words import listing, suggestion
from pachon.queries.plan import (
    Call,
    ColumnRef,
    Derived,
    Expression,
    Join,
    JoinKind,
    MemorySnapshot,
    NamedRows,
    Op,
    Output,
    Plan,
    Query,
    Relation,
    Scan,
    SetKind,
    SetOperation,
)
from pachon.releases.models import Snapshot, Table

_SETS = {exp.Union: SetKind.UNION, exp.Except: SetKind.EXCEPT, exp.Intersect: SetKind.INTERSECT}
_MAX_COUNT = 2**63 - 1
_Shared = tuple[Visible, Expression, tuple[Expression, Expression]]
"""A column of USING: as it is shown, the test, and the two columns behind it."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables one person may query.

    Parameters
    ----------
    tables
        By qualified name.
    snapshot
        The rows of a table, by qualified name.
    refusal
        Why another table is there but not queried, by qualified name; None if nothing is known of it.
    """

    tables: Mapping[str, Table]
    snapshot: Callable[[str], Snapshot | MemorySnapshot]
    refusal: Callable[[str], str | None] = lambda _: None


def bind(text: str, catalogue: Catalogue, *, max_rows: int | None = None) -> Plan:
    """Parse, check and bind one ADQL query.

    Raises
    ------
    QuerySyntaxError
        What is wrong, where, and the nearest names among those of `catalogue`.
    LimitError
        If it is too large: see `limits`.
    """
    tree = grammar.parse(text)
    try:
        return _Binder(text, catalogue).plan(tree, max_rows)
    except RecursionError:
        raise limits.too_deep() from None


@dataclass(slots=True)
class _Binder:
    text: str
    catalogue: Catalogue
    named: list[Query] = field(default_factory=list)
    names: list[tuple[exp.Expr, int]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    columns: int = 0
    notes: Notes = field(init=False)

    def __post_init__(self) -> None:
        self.notes = Notes(self.text)

    def plan(self, tree: exp.Query, max_rows: int | None) -> Plan:
        if (common := tree.args.get("with_")) is not None:
            for each in common.expressions:
                self._name(each)
        query = self.query(tree, None, top=True)
        named = demanded(self.named, query)
        return Plan(query=query, named=named, max_rows=max_rows, warnings=self.notes.sentences)

    def _name(self, node: exp.CTE) -> None:
        name = node.args["alias"].this
        if any(matches(name, other.name) for other, _ in self.names):
            raise self.error(name, f"the name '{name.name}' is given twice in WITH.")
        self.named.append(self.query(node.this, None))
        self.names.append((name, len(self.named) - 1))

    def query(self, node: exp.Expr, outer: Scope | None, *, top: bool = False) -> Query:
        if node.args.get("with_") is not None and not top:
            raise self.error(node, "WITH may stand only at the start of the whole query.")
        if isinstance(node, exp.Select):
            return SelectBinder(self, node, Scope(self.text, parent=outer)).select()
        if isinstance(node, exp.Subquery):
            return self._parenthesised(node, outer)
        return self._set_operation(node, outer)

    def _parenthesised(self, node: exp.Subquery, outer: Scope | None) -> Query:
        if node.args.get("alias") is not None:
            raise self.error(node, "a name may not be given here.")
        query = self.query(node.this, outer)
        if not node.args.get("order") and not node.args.get("offset"):
            return query
        if isinstance(query, SetOperation) and not query.order and query.offset is None:
            return replace(query, order=self._set_order(node, query.outputs), offset=self.offset(node))
        raise self.error(node, "ORDER BY and OFFSET belong inside these parentheses.")

    def subquery(self, node: exp.Expr, outer: Scope) -> Query:
        """A query after IN or EXISTS."""
        return self.query(node.this if isinstance(node, exp.Subquery) else node, outer)

    def _set_operation(self, node: exp.Expr, outer: Scope | None) -> Query:
        kind = _SETS[type(node)]  # type: ignore[index]
        for side in (node.this, node.expression):
            clause = None if isinstance(side, exp.Subquery) else side.args.get("order") or side.args.get("offset")
            if clause is not None:
                word = "ORDER BY" if isinstance(clause, exp.Order) else "OFFSET"
                raise self.error(clause, f"{word} before {kind.name} needs parentheses around its query.")
        left, right = self.query(node.this, outer), self.query(node.expression, outer)
        if len(left.outputs) != len(right.outputs):
            message = f"{kind.name} needs as many columns on both sides: {len(left.outputs)} and {len(right.outputs)}."
            raise self.error(node.expression, message)
        outputs = tuple(
            self._merged(node, kind, one, two) for one, two in zip(left.outputs, right.outputs, strict=True)
        )
        return SetOperation(
            kind=kind,
            all_rows=node.args.get("distinct") is False,
            left=left,
            right=right,
            outputs=outputs,
            order=self._set_order(node, outputs),
            offset=self.offset(node),
        )

    def _merged(self, node: exp.Expr, kind: SetKind, left: Output, right: Output) -> Output:
        one, two = left.expression, right.expression
        if not (is_null(one) or is_null(two) or _are_alike(one.field, two.field)):
            sides = f"{kind_of(one.field)} on one side and {kind_of(two.field)} on the other"
            raise self.error(node.expression, f"{kind.name}: column '{left.name}' is {sides}.")
        joint = quantities.joint(one, two)
        is_as_left = joint == one.field and (is_null(two) or not is_null(one))
        return left if is_as_left else Output(left.name, Call(Op.CAST, (one,), joint))

    def _set_order(self, node: exp.Expr, outputs: tuple[Output, ...]) -> tuple[tuple[int, bool], ...]:
        order = node.args.get("order")
        return tuple(
            (self._set_key(each.this, outputs), bool(each.args.get("desc")))
            for each in (order.expressions if order else ())
        )

    def _set_key(self, node: exp.Expr, outputs: tuple[Output, ...]) -> int:
        if isinstance(node, exp.Literal) and not node.is_string:
            return self.position(node, len(outputs))
        if isinstance(node, exp.Column) and not node.args.get("table"):
            found = [i for i, output in enumerate(outputs) if matches(node.this, output.name)]
            if found:
                return found[0]
            near = suggestion(node.name, [output.name for output in outputs])
            raise self.error(node, f"the result has no column '{node.name}'{near or '.'}")
        raise self.error(node, "the rows of a set operation are sorted by name or position of a result column.")

    def position(self, node: exp.Expr, count: int) -> int:
        """A column position in ORDER BY, from 0."""
        if not node.name.isdigit() or not 1 <= int(node.name) <= count:
            raise self.error(node, f"ORDER BY position {node.name} is not between 1 and {count}.")
        return int(node.name) - 1

    def offset(self, node: exp.Expr) -> int | None:
        """OFFSET of a query."""
        clause = node.args.get("offset")
        return None if clause is None else self.count(clause.expression, "OFFSET")

    def count(self, node: exp.Expr, what: str) -> int:
        """The whole number after TOP or OFFSET."""
        if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit():
            raise self.error(node, f"{what} takes a whole number that is not negative.")
        return min(int(node.name), _MAX_COUNT)

    def count_columns(self, count: int) -> None:
        """Take note of further result columns of a block, before they are made."""
        self.columns += count
        if self.columns > limits.MAX_COLUMNS:
            raise limits.too_many_columns()

    def error(self, node: exp.Expr, message: str) -> QuerySyntaxError:
        """The error that refuses a node, with its position."""
        return error_at(self.text, start_of(node), message)

    # Sources

    def relation(self, node: exp.Expr, scope: Scope) -> Relation:
        """A table reference: its columns are added to the scope."""
        if isinstance(node, exp.Table):
            relation = self._table(node, scope)
            return self.joined(relation, node.args.get("joins") or [], scope)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            return self._derived(node, scope)
        if isinstance(node, exp.Subquery | exp.Paren):
            inner = Scope(self.text, parent=scope.parent)
            relation = self.relation(node.this, inner)
            relation = self.joined(relation, node.args.get("joins") or [], inner)
            scope.sources.extend(inner.sources)
            scope.visible.extend(inner.visible)
            return relation
        raise self.error(node, "expected a table or a query in parentheses.")

    def _derived(self, node: exp.Subquery, scope: Scope) -> Relation:
        alias = node.args.get("alias")
        if alias is None or alias.this is None:
            raise self.error(node, "a query in FROM needs a name: (SELECT ...) AS name.")
        query, number = self.query(node.this, scope.parent), next(self.numbers)
        self._add(node, scope, Source(alias.this.name, None, _columns(number, query.outputs)))
        return self.joined(Derived(number, query), node.args.get("joins") or [], scope)

    def _table(self, node: exp.Table, scope: Scope) -> Relation:
        if not isinstance(node.this, exp.Identifier):
            raise self.error(node, "expected the name of a table: ADQL has no table functions.")
        alias, number = node.args.get("alias"), next(self.numbers)
        label = alias.this.name if alias is not None else node.name
        if node.args.get("db") is None:
            for name, index in self.names:
                if matches(node.this, name.name):
                    self._add(node, scope, Source(label, None, _columns(number, self.named[index].outputs)))
                    return NamedRows(number, index)
        table = self._find(node)
        fields = [column.field for column in table.columns]
        columns = Columns(Visible(each.name, ColumnRef(number, i, each)) for i, each in enumerate(fields))
        self._add(node, scope, Source(label, table.schema if alias is None else None, columns))
        return Scan(number, self.catalogue.snapshot(table.qualified_name))

    def _add(self, node: exp.Expr, scope: Scope, source: Source) -> None:
        for other in scope.sources:
            if (other.label.lower(), other.schema) == (source.label.lower(), source.schema):
                raise self.error(node, f"the name '{source.label}' is used twice in FROM: give one an alias with AS.")
        scope.add(source)

    def _find(self, node: exp.Table) -> Table:
        schema, catalog = node.args.get("db"), node.args.get("catalog")
        for table in self.catalogue.tables.values():
            if (
                catalog is None
                and schema is not None
                and matches(schema, table.schema)
                and matches(node.this, table.name)
            ):
                return table
        parts = [part.name for part in (catalog, schema, node.this) if part is not None]
        written = ".".join(parts)
        if (refusal := self.catalogue.refusal(written)) is not None:
            raise self.error(node, refusal)
        if schema is None and written in self.catalogue.tables:
            apart = ".".join(f'"{part}"' for part in written.split("."))
            raise self.error(node, f"unknown table '{written}': each part of a name has quotes of its own, {apart}.")
        names = {name: name for name in self.catalogue.tables}
        bare = {table.name: name for name, table in self.catalogue.tables.items()}
        same = [name for name, table in self.catalogue.tables.items() if matches(node.this, table.name)]
        if schema is None and same:
            raise self.error(node, f"unknown table '{written}'; did you mean {' or '.join(same[:3])}?")
        near = suggestion(written, names) or _renamed(suggestion(parts[-1], bare), bare)
        if catalog is not None:
            raise self.error(node, f"unknown table '{written}': tables are written schema.table{near or '.'}")
        raise self.error(node, f"unknown table '{written}'{near or self._schemas(schema)}")

    def _schemas(self, schema: exp.Expr | None) -> str:
        """What there is instead: the tables of the schema, or the schemas."""
        tables = self.catalogue.tables.values()
        inside = [table.qualified_name for table in tables if schema is not None and matches(schema, table.schema)]
        if inside:
            return f"; this schema has {listing(inside)}."
        return f"; the schemas are {listing(sorted({table.schema for table in tables}))}."

    def joined(self, relation: Relation, joins: list[exp.Join], scope: Scope) -> Relation:
        """A relation with the joins that follow it."""
        for join in joins:
            relation = self._join(relation, join, scope)
        return relation

    def _join(self, left: Relation, node: exp.Join, scope: Scope) -> Relation:
        side, kind, method = (str(node.args.get(part) or "").upper() for part in ("side", "kind", "method"))
        if kind not in {"", "INNER", "OUTER"} or method not in {"", "NATURAL"}:
            raise self.error(node.this, f"ADQL has no {' '.join(word for word in (method, side, kind) if word)} JOIN.")
        if kind == "OUTER" and not side:
            raise self.error(node.this, "OUTER needs LEFT, RIGHT or FULL before it.")
        if method and (node.args.get("on") is not None or node.args.get("using")):
            raise self.error(node.this, "NATURAL JOIN takes neither ON nor USING: it compares all columns of one name.")
        inner = Scope(self.text, parent=scope.parent)
        right = self.relation(node.this, inner)
        how = JoinKind(side.lower()) if side else JoinKind.INNER
        condition: Expression | None = None
        merged: list[_Shared] = []
        if node.args.get("using"):
            merged = [self._shared(name, scope, inner, how) for name in node.args["using"]]
        elif method == "NATURAL":
            merged = self._natural(node.this, scope, inner, how)
        elif node.args.get("on") is None and (side or kind):
            raise self.error(node.this, "this JOIN needs ON or USING.")
        self._merge_scopes(node, scope, inner, merged)
        if merged:
            condition = Call(Op.AND, tuple(test for _, test, _ in merged), BOOLEAN)
        elif node.args.get("on") is not None:
            binder = ValueBinder(self.notes, scope, self.subquery, "ON")
            condition = binder.condition(node.args["on"])
        return Join(how, left, right, condition)

    def _shared(self, name: exp.Expr, left: Scope, right: Scope, how: JoinKind) -> _Shared:
        one, two = left.named(name, left.visible), right.named(name, right.visible)
        if one is None or two is None:
            raise self.error(name, f"USING: column '{name.name}' is not in both tables.")
        one, two = ValueBinder(self.notes, left, self.subquery).pair(name, one, two)
        both = {JoinKind.LEFT: one, JoinKind.INNER: one, JoinKind.RIGHT: two}.get(how)
        shown = both or Call(Op.COALESCE, (one, two), quantities.joint(one, two))
        return Visible(one.field.name, shown), Call(Op.EQ, (one, two), BOOLEAN), (one, two)

    def _natural(self, place: exp.Expr, left: Scope, right: Scope, how: JoinKind) -> list[_Shared]:
        names = {column.name.lower() for column in right.visible}
        common = [column.name for column in left.visible if column.name.lower() in names]
        shared = [exp.to_identifier(name) for name in common]
        for each in shared:
            each.meta["start"] = start_of(place)
        return [self._shared(each, left, right, how) for each in shared]

    def _merge_scopes(
        self,
        node: exp.Join,
        scope: Scope,
        inner: Scope,
        merged: list[_Shared],
    ) -> None:
        hidden = {id(each) for _, _, pair in merged for each in pair}
        shown = [visible for visible, _, _ in merged]
        rest = [column for column in (*scope.visible, *inner.visible) if id(column.expression) not in hidden]
        for source in inner.sources:
            self._add(node.this, scope, source)
        scope.visible = Columns([*shown, *rest])


def _columns(number: int, outputs: tuple[Output, ...]) -> Columns:
    return Columns(
        Visible(output.name, ColumnRef(number, i, replace(output.field, name=output.name)))
        for i, output in enumerate(outputs)
    )


def _renamed(text: str, names: Mapping[str, str]) -> str:
    for bare, qualified in names.items():
        text = text.replace(f" {bare}?", f" {qualified}?").replace(f" {bare} or", f" {qualified} or")
    return text


def _are_alike(one: Field, two: Field) -> bool:
    """Whether one column can hold the values of both."""
    is_scalar = one.arraysize is None or is_string(one)
    return kind_of(one) == kind_of(two) and (is_scalar == (two.arraysize is None or is_string(two)))
