"""Plan -> DuckDB SQL. Identifiers are our own (`s3.c1`) or names of stored columns; text appears only as literals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import assert_never

import pyarrow as pa

from pachon.core.fields import DataType, Field
from pachon.queries.engines.duckdb_functions import call_sql, coarser, string_literal, type_sql
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
    Op,
    Ordering,
    Plan,
    Query,
    Relation,
    Scan,
    Select,
    SetOperation,
)
from pachon.releases.hats.layout import index_range
from pachon.releases.models import Partition, Table

_INDEX_COLUMN = '"_healpix_29"'
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
    writer = _Writer({scan.source: scan.snapshot.table for scan in plan.scans if not _in_memory(scan)})
    limit = None if plan.max_rows is None else plan.max_rows + 1
    named = [f"q{number} AS MATERIALIZED ({writer.query(query)})" for number, query in enumerate(plan.named)]
    prefix = f"WITH {', '.join(named)} " if named else ""
    return Statement(prefix + writer.query(plan.query, limit=limit), writer.rows, limit)


def _in_memory(scan: Scan) -> bool:
    return isinstance(scan.snapshot, MemorySnapshot)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(slots=True)
class _Writer:
    stored: dict[int, Table]
    rows: dict[str, pa.Table] = field(default_factory=dict)

    def query(self, query: Query, *, limit: int | None = None) -> str:
        if isinstance(query, SetOperation):
            return self._set_operation(query, limit)
        return self._select(query, limit)

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

    def _select(self, select: Select, limit: int | None) -> str:
        outputs = [f"{self._value(output.expression)} AS c{i}" for i, output in enumerate(select.outputs)]
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
                return f"({self.query(relation.query)}) AS s{relation.source}"
            case NamedRows():
                return f"q{relation.name} AS s{relation.source}"
            case Join():
                return self._join(relation)
        assert_never(relation)

    def _join(self, join: Join) -> str:
        left, right = self._relation(join.left), self._relation(join.right)
        if join.condition is None:
            return f"({left} CROSS JOIN {right})"
        return f"({left} {join.kind.value.upper()} JOIN {right} ON {self._value(join.condition)})"

    def _scan(self, scan: Scan) -> str:
        if isinstance(scan.snapshot, MemorySnapshot):
            name = f"m{scan.source}"
            self.rows[name] = scan.snapshot.rows.rename_columns(
                [f"c{i}" for i in range(scan.snapshot.rows.num_columns)]
            )
            return name
        wanted = [part for part in scan.snapshot.partitions if scan.ranges is None or _overlaps(part, scan.ranges)]
        if not wanted:
            columns = [f"CAST(NULL AS {type_sql(c.field)}) AS {_quoted(c.name)}" for c in scan.snapshot.table.columns]
            columns.append(f"CAST(NULL AS BIGINT) AS {_INDEX_COLUMN}")
            return f"(SELECT {', '.join(columns)} WHERE false)"
        paths = ", ".join(string_literal(str(part.path)) for part in wanted)
        files = f"read_parquet([{paths}], hive_partitioning=false, union_by_name=false)"
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
        return coarser(f"s{ra.source}.{_INDEX_COLUMN}", order) if is_own else None

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
    return any(low < stop and high > first for low, high in ranges)


def _index_filter(ranges: IndexRanges) -> str:
    merged = _widest_gaps_kept(ranges)
    terms = [f"({_INDEX_COLUMN} >= {low} AND {_INDEX_COLUMN} < {high})" for low, high in merged]
    if len(terms) <= 1:
        return terms[0] if terms else "false"
    bounds = f"{_INDEX_COLUMN} >= {merged[0][0]} AND {_INDEX_COLUMN} < {merged[-1][1]}"
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
