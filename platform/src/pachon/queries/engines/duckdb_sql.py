"""Plan -> DuckDB SQL. Identifiers are our own (`s3.c1`) or names of stored columns; text appears only as literals."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import assert_never

import pyarrow as pa

from pachon.core.fields import DataType, Field
from pachon.queries.engines.duckdb_files import as_far_as_needed, index_filter, paths_of, read_sql
from pachon.queries.engines.duckdb_functions import call_sql, coarser, string_literal, type_sql
from pachon.queries.engines.duckdb_geometry import circle_filter, near_filter
from pachon.queries.engines.duckdb_near import (
    INDEX_COLUMN,
    PIXEL,
    NearSQL,
    column_pair,
    levels_sql,
    order_of,
    passes_rows,
    sides_of,
    source_in,
    sources_read,
)
from pachon.queries.plan import (
    Aggregate,
    AggregateOp,
    Call,
    ColumnRef,
    Derived,
    Exists,
    Expression,
    InQuery,
    Join,
    Literal,
    MemorySnapshot,
    NamedRows,
    Near,
    Op,
    Ordering,
    Plan,
    Position,
    Query,
    Relation,
    Scan,
    Select,
    SetOperation,
    terms_of,
)
from pachon.releases.models import Snapshot, Table


@dataclass(slots=True)
class Statement:
    """SQL text, and the rows of in-memory tables it names; `max_rows` if the result is bounded."""

    sql: str
    rows: dict[str, pa.Table] = field(default_factory=dict)
    max_rows: int | None = None


def write(plan: Plan) -> Statement:
    """The statement that computes a plan; one row more than `plan.max_rows`, to tell whether there are more."""
    tables = {scan.source: scan.snapshot.table for scan in plan.scans if isinstance(scan.snapshot, Snapshot)}
    writer = _Writer(tables, plan.named, _shared_files(plan))
    limit = None if plan.max_rows is None else plan.max_rows + 1
    query = writer.query(plan.query, limit=limit)
    named = writer.take_levels()
    for number in reversed(range(len(plan.named))):
        text = writer.query(plan.named[number], indexed=frozenset(writer.indexed_names.get(number, ())))
        named = [*writer.take_levels(), f"q{number} AS MATERIALIZED ({text})", *named]
    files = [f"{name} AS NOT MATERIALIZED (SELECT * FROM {read_sql(paths)})" for paths, name in writer.shared.items()]  # noqa: S608 -- from a plan
    prefix = f"WITH {', '.join((*files, *named))} " if files or named else ""
    return Statement(prefix + query, writer.rows, limit)


def _shared_files(plan: Plan) -> dict[tuple[str, ...], str]:
    """Names for the lists of files that several scans read; each is written once, however long."""
    lists = Counter(paths_of(scan) for scan in plan.scans if isinstance(scan.snapshot, Snapshot))
    repeated = [paths for paths, count in lists.items() if count > 1 and paths]
    return {paths: f"f{number}" for number, paths in enumerate(repeated)}


def _name(relation: Relation) -> str:
    return "" if isinstance(relation, Join) else f"s{relation.source}"


def _hidden(ra: int, dec: int) -> str:
    """The column in which a query hands out the spatial index of two of its outputs."""
    return f"h{ra}_{dec}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(slots=True)
class _Writer:
    """Writes one plan.

    Parameters
    ----------
    stored
        Tables in files, by number of the source.
    named
        Common table expressions; they are written after what uses them, which may ask for a spatial index.
    shared
        Names of lists of files that are read more than once.
    indexed, indexed_names
        Pairs of outputs for which derived sources, by number, and named queries hand out a spatial index.
    nears
        Joins by position so far.
    levels
        Queries for the orders of their discs, where radii differ.
    """

    stored: dict[int, Table]
    named: tuple[Query, ...]
    shared: dict[tuple[str, ...], str]
    rows: dict[str, pa.Table] = field(default_factory=dict)
    indexed: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    indexed_names: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    nears: int = 0
    levels: list[str] = field(default_factory=list)

    def take_levels(self) -> list[str]:
        """The queries for the orders of discs that the text written since the last call names."""
        taken, self.levels = self.levels, []
        return taken

    def query(
        self, query: Query, *, limit: int | None = None, indexed: frozenset[tuple[int, int]] = frozenset()
    ) -> str:
        if isinstance(query, SetOperation):
            return self._set_operation(query, limit)
        return self._select(query, limit, indexed)

    def _set_operation(self, query: SetOperation, limit: int | None) -> str:
        word = query.kind.value.upper() + (" ALL" if query.all_rows else "")
        sides = [self._cast_side(side, query) for side in (query.left, query.right)]
        keys = [f"{index + 1}{' DESC' if down else ''} NULLS LAST" for index, down in query.order]
        return f"({sides[0]}) {word} ({sides[1]})" + _tail(keys, limit, query.offset)

    def _cast_side(self, side: Query, whole: SetOperation) -> str:
        text = self.query(side)
        casts = [
            f"CAST(c{index} AS {type_sql(target.field)}) AS c{index}"
            for index, target in enumerate(whole.outputs)
            if _shape(side.outputs[index].field) != _shape(target.field)
        ]
        return f"SELECT * REPLACE ({', '.join(casts)}) FROM ({text})" if casts else text  # noqa: S608 -- from a plan

    def _select(self, select: Select, limit: int | None, indexed: frozenset[tuple[int, int]]) -> str:
        outputs = [f"{self._value(output.expression)} AS c{i}" for i, output in enumerate(select.outputs)]
        for ra, dec in sorted(indexed):
            position = select.outputs[ra].expression, select.outputs[dec].expression
            outputs.append(f"{self._index(position, select.source)} AS {_hidden(ra, dec)}")
        parts = [f"SELECT {'DISTINCT ' if select.distinct else ''}{', '.join(outputs)}"]
        least = min((n for n in (select.limit, limit) if n is not None), default=None)
        parts += self._source(as_far_as_needed(select, least), select.where)
        if select.groups:
            parts.append(f"GROUP BY {', '.join(self._value(group) for group in select.groups)}")
        if select.having is not None:
            parts.append(f"HAVING {self._value(select.having)}")
        places = {output.expression: place for place, output in enumerate(select.outputs, 1)} if select.order else {}
        keys = [self._ordering(key, places.get(key.expression)) for key in select.order]
        return " ".join(parts) + _tail(keys, least, select.offset)

    def _source(self, source: Relation, where: Expression | None) -> list[str]:
        """FROM and WHERE; the ranges of a table that stands alone join the conditions, which is planned sooner."""
        if isinstance(source, Scan) and isinstance(source.snapshot, Snapshot) and source.ranges is not None:
            text, conditions = f"{self._files(source)} AS s{source.source}", [index_filter(source, source.ranges)]
        else:
            text, conditions = self._relation(source), []
        conditions += [self._condition(term) for term in terms_of(where)]
        return [f"FROM {text}", *([f"WHERE {' AND '.join(f'({each})' for each in conditions)}"] if conditions else [])]

    def _condition(self, term: Expression) -> str:
        """A term of WHERE or ON: NULL is as good as false, and NaN is less than no constant."""
        match term:
            case Call(op=Op.IN_CIRCLE):
                return circle_filter(term, [self._value(argument) for argument in term.arguments])
            case Call(op=Op.LT | Op.LE, arguments=(Call(op=Op.SEPARATION) as apart, Literal() as radius)):
                places = [self._value(argument) for argument in apart.arguments]
                return near_filter(apart, places, f"{term.op.value} {self._value(radius)}")
            case _:
                return self._value(term)

    def _on(self, condition: Expression | None) -> str:
        return " AND ".join(self._condition(term) for term in terms_of(condition))

    def _ordering(self, key: Ordering, place: int | None) -> str:
        text = self._value(key.expression) if place is None else f"{place}"
        return f"{text}{' DESC' if key.descending else ''} NULLS LAST"

    def _relation(self, relation: Relation) -> str:
        match relation:
            case Scan():
                return self._scan(relation)
            case Derived():
                indexed = frozenset(self.indexed.get(relation.source, ()))
                return f"({self.query(relation.query, indexed=indexed)}) AS s{relation.source}"
            case NamedRows():
                return f"q{relation.name} AS s{relation.source}"
            case Join():
                return self._join(relation)
        assert_never(relation)

    def _join(self, join: Join) -> str:
        if join.near is not None:
            return self._near(join, join.near)
        left, right = self._relation(join.left), self._relation(join.right)
        if join.condition is None:
            return f"({left} CROSS JOIN {right})"
        return f"({left} {join.kind.value.upper()} JOIN {right} ON {self._on(join.condition)})"

    def _near(self, join: Join, near: Near) -> str:
        mine, other, kind = sides_of(join, near)
        index = self._index(near.others, other)
        self.nears += 1
        order, name = order_of(near.radius_deg), f"k{self.nears}"
        of_radius = None if order is not None else source_in(mine, sources_read((near.radius_deg,)))
        ra, dec, radius = (f"CAST({self._value(each)} AS DOUBLE)" for each in (*near.around, near.radius_deg))
        if order is None:
            radii = "(SELECT 1)" if of_radius is None else self._relation(of_radius)
            self.levels.append(levels_sql(name, radius, radii))
        return NearSQL(
            kind=kind,
            discs=self._relation(mine),
            other=self._relation(other),
            pixels=name,
            discs_name=_name(mine),
            other_name=_name(other),
            around=(ra, dec, radius),
            index=index,
            condition=self._on(join.condition),
            order=order,
        ).write()

    def _index(self, position: Position, relation: Relation) -> str:
        """The order 29 pixel of a position: stored, handed out by the query it comes from, or computed."""
        pair = column_pair(position)
        source = None if pair is None else source_in(relation, frozenset({pair[0]}))
        if pair is not None and isinstance(source, Scan) and self._is_principal(*pair):
            return f"s{pair[0]}.{INDEX_COLUMN}"
        if pair is not None and isinstance(source, Derived) and self._can_hand_out(source.query, pair):
            self.indexed.setdefault(source.source, set()).add(pair[1:])
            return f"s{pair[0]}.{_hidden(*pair[1:])}"
        if pair is not None and isinstance(source, NamedRows) and self._can_hand_out(self.named[source.name], pair):
            self.indexed_names.setdefault(source.name, set()).add(pair[1:])
            return f"s{pair[0]}.{_hidden(*pair[1:])}"
        ra, dec = (f"CAST({self._value(each)} AS DOUBLE)" for each in position)
        return f"{PIXEL}({ra}, {dec})"

    def _can_hand_out(self, query: Query, pair: tuple[int, int, int]) -> bool:
        """Whether two outputs of a query are a position that a stored index goes with."""
        if not passes_rows(query) or not isinstance(query, Select):
            return False
        inner = column_pair((query.outputs[pair[1]].expression, query.outputs[pair[2]].expression))
        source = None if inner is None else source_in(query.source, frozenset({inner[0]}))
        match source:
            case Scan() if inner is not None:
                return self._is_principal(*inner)
            case Derived() if inner is not None:
                return self._can_hand_out(source.query, inner)
            case NamedRows() if inner is not None:
                return self._can_hand_out(self.named[source.name], inner)
            case _:
                return False

    def _is_principal(self, source: int, *columns: int) -> bool:
        table = self.stored.get(source)
        if table is None or not table.has_position:
            return False
        return [table.columns[index].name for index in columns] == [table.ra_column, table.dec_column]

    def _scan(self, scan: Scan) -> str:
        files, name = self._files(scan), f"s{scan.source}"
        if scan.ranges is None or not isinstance(scan.snapshot, Snapshot):
            return f"{files} AS {name}"
        return f"(SELECT * FROM {files} AS {name} WHERE {index_filter(scan, scan.ranges)}) AS {name}"  # noqa: S608 -- from a plan

    def _files(self, scan: Scan) -> str:
        """All rows of the files that a scan opens, or of a table in memory."""
        if isinstance(scan.snapshot, MemorySnapshot):
            name = f"m{scan.source}"
            self.rows[name] = scan.snapshot.rows.rename_columns(
                [f"c{i}" for i in range(scan.snapshot.rows.num_columns)]
            )
            return name
        paths = paths_of(scan)
        if not paths:
            columns = [(c.name, type_sql(c.field)) for c in scan.snapshot.table.columns]
            columns += [(INDEX_COLUMN.strip('"'), "BIGINT")]
            nothing = ", ".join(f"CAST(NULL AS {type_name}) AS {_quoted(name)}" for name, type_name in columns)
            return f"(SELECT {nothing} WHERE false)"
        return self.shared.get(paths) or read_sql(paths)

    def _value(self, expression: Expression) -> str:
        match expression:
            case Literal():
                return literal_sql(expression)
            case ColumnRef():
                table = self.stored.get(expression.source)
                column = f"c{expression.index}" if table is None else _quoted(table.columns[expression.index].name)
                return f"s{expression.source}.{column}"
            case Call():
                arguments = [self._value(argument) for argument in expression.arguments]
                return self._stored_pixel(expression) or call_sql(expression, arguments)
            case Aggregate():
                return self._aggregate(expression)
            case InQuery():
                return f"({self._value(expression.operand)} IN ({self.query(expression.query)}))"
            case Exists():
                return f"EXISTS ({self.query(expression.query)})"
        assert_never(expression)

    def _stored_pixel(self, call: Call) -> str | None:
        """The pixel of a table's own position, from its stored index."""
        if call.op is not Op.HEALPIX_INDEX:
            return None
        order, ra, dec = call.arguments
        if not (isinstance(ra, ColumnRef) and isinstance(dec, ColumnRef)) or ra.source != dec.source:
            return None
        table = self.stored.get(ra.source)
        if table is None:
            return None
        names = table.columns[ra.index].name, table.columns[dec.index].name
        is_own = names == (table.ra_column, table.dec_column)
        return coarser(f"s{ra.source}.{INDEX_COLUMN}", order) if is_own else None

    def _aggregate(self, aggregate: Aggregate) -> str:
        if aggregate.argument is None:
            return "COUNT(*)"
        argument = self._value(aggregate.argument)
        if aggregate.op is AggregateOp.STRING_AGG:
            distinct = "DISTINCT " if aggregate.distinct else ""
            order = "" if isinstance(aggregate.argument, Literal) else f" ORDER BY {argument}"
            return f"string_agg({distinct}{argument}, {string_literal(aggregate.delimiter)}{order})"
        if aggregate.op in {AggregateOp.AVG, AggregateOp.SUM} and aggregate.argument.field.datatype is DataType.FLOAT:
            argument = f"CAST({argument} AS DOUBLE)"
        text = f"{aggregate.op.value.upper()}({'DISTINCT ' if aggregate.distinct else ''}{argument})"
        return f"CAST({text} AS BIGINT)" if aggregate.op is AggregateOp.SUM and _is_long(aggregate.field) else text


def _is_long(field: Field) -> bool:
    return field.datatype is DataType.LONG


def _shape(field: Field) -> tuple[DataType, bool]:
    return field.datatype, field.arraysize is not None


def _tail(keys: list[str], limit: int | None, offset: int | None) -> str:
    order = f" ORDER BY {', '.join(keys)}" if keys else ""
    return f"{order}{'' if limit is None else f' LIMIT {limit}'}{'' if offset is None else f' OFFSET {offset}'}"


def literal_sql(literal: Literal) -> str:
    """A constant, with its type."""
    value = literal.value
    if value is None:
        return f"CAST(NULL AS {type_sql(literal.field)})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"CAST({value} AS {type_sql(literal.field)})"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)" if not math.isfinite(value) else f"{value!r}::DOUBLE"
    text = string_literal(value)
    return f"CAST({text} AS TIMESTAMP)" if literal.field.datatype is DataType.TIMESTAMP else text
