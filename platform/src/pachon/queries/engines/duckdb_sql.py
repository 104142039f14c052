"""Plan -> DuckDB SQL. Identifiers are our own (`s3.c1`) or names of stored columns; text appears only as literals."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import assert_never

import pyarrow as pa

from pachon.core.fields import DataType, Field
from pachon.queries.engines.duckdb_functions import call_sql, coarser, string_literal, type_sql
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
    IndexRanges,
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
)
from pachon.releases.hats.layout import index_range
from pachon.releases.models import Partition, Snapshot, Table

_MAX_RANGE_TERMS = 6
"""Planning time grows with the terms of a filter; a handful already skips every row group worth skipping."""


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
    files = [f"{name} AS NOT MATERIALIZED (SELECT * FROM {_read(paths)})" for paths, name in writer.shared.items()]  # noqa: S608 -- from a plan
    prefix = f"WITH {', '.join((*files, *named))} " if files or named else ""
    return Statement(prefix + query, writer.rows, limit)


def _shared_files(plan: Plan) -> dict[tuple[str, ...], str]:
    """Names for the lists of files that several scans read; each is written once, however long."""
    lists = Counter(_paths(scan) for scan in plan.scans if isinstance(scan.snapshot, Snapshot))
    repeated = [paths for paths, count in lists.items() if count > 1 and paths]
    return {paths: f"f{number}" for number, paths in enumerate(repeated)}


def _paths(scan: Scan) -> tuple[str, ...]:
    """The files a scan of a stored table must open."""
    if not isinstance(scan.snapshot, Snapshot):
        return ()
    ranges = scan.ranges
    return tuple(str(part.path) for part in scan.snapshot.partitions if ranges is None or _overlaps(part, ranges))


def _read(paths: tuple[str, ...]) -> str:
    return f"read_parquet([{', '.join(map(string_literal, paths))}], hive_partitioning=false, union_by_name=false)"


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
        parts.append(f"FROM {self._relation(select.source)}")
        if select.where is not None:
            parts.append(f"WHERE {self._value(select.where)}")
        if select.groups:
            parts.append(f"GROUP BY {', '.join(self._value(group) for group in select.groups)}")
        if select.having is not None:
            parts.append(f"HAVING {self._value(select.having)}")
        least = min((n for n in (select.limit, limit) if n is not None), default=None)
        places = {output.expression: place for place, output in enumerate(select.outputs, 1)} if select.order else {}
        keys = [self._ordering(key, places.get(key.expression)) for key in select.order]
        return " ".join(parts) + _tail(keys, least, select.offset)

    def _ordering(self, key: Ordering, place: int | None) -> str:
        text = self._value(key.expression) if place is None else f"{place}"
        return f"{text}{' DESC' if key.descending else ''} NULLS LAST"

    def _relation(self, relation: Relation) -> str:
        match relation:
            case Scan():
                return f"{self._scan(relation)} AS s{relation.source}"
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
        return f"({left} {join.kind.value.upper()} JOIN {right} ON {self._value(join.condition)})"

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
            condition="" if join.condition is None else self._value(join.condition),
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
        if isinstance(scan.snapshot, MemorySnapshot):
            name = f"m{scan.source}"
            self.rows[name] = scan.snapshot.rows.rename_columns(
                [f"c{i}" for i in range(scan.snapshot.rows.num_columns)]
            )
            return name
        paths = _paths(scan)
        if not paths:
            columns = [(c.name, type_sql(c.field)) for c in scan.snapshot.table.columns]
            columns += [(INDEX_COLUMN.strip('"'), "BIGINT")]
            nothing = ", ".join(f"CAST(NULL AS {type_name}) AS {_quoted(name)}" for name, type_name in columns)
            return f"(SELECT {nothing} WHERE false)"
        files = self.shared.get(paths) or _read(paths)
        return files if scan.ranges is None else f"(SELECT * FROM {files} WHERE {_index_filter(scan.ranges)})"  # noqa: S608 -- from a plan

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


def _overlaps(part: Partition, ranges: IndexRanges) -> bool:
    first, stop = index_range(part)
    place = bisect_right(ranges, first, key=itemgetter(1))
    return place < len(ranges) and ranges[place][0] < stop


def _index_filter(ranges: IndexRanges) -> str:
    merged = _widest_gaps_kept(ranges)
    terms = [f"({INDEX_COLUMN} >= {low} AND {INDEX_COLUMN} < {high})" for low, high in merged]
    if len(terms) <= 1:
        return terms[0] if terms else "false"
    bounds = f"{INDEX_COLUMN} >= {merged[0][0]} AND {INDEX_COLUMN} < {merged[-1][1]}"
    return f"{bounds} AND ({' OR '.join(terms)})"


def _widest_gaps_kept(ranges: IndexRanges) -> IndexRanges:
    """Fewer, wider ranges that cover the same: only the widest gaps stay."""
    gaps = sorted(range(1, len(ranges)), key=lambda i: ranges[i - 1][1] - ranges[i][0])[: _MAX_RANGE_TERMS - 1]
    cuts = [0, *sorted(gaps), len(ranges)]
    return tuple((ranges[low][0], ranges[high - 1][1]) for low, high in pairwise(cuts) if low < high)


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
