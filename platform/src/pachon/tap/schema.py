"""TAP_SCHEMA (TAP 1.1, section 4): what is there for one person, as tables that ADQL can ask."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock

import pyarrow as pa

from pachon.core.fields import DataType, Field, arrow_schema
from pachon.identity.models import Principal
from pachon.queries.adql.words import RESERVED
from pachon.queries.estimate.ranges import ValueRange, ValueRanges
from pachon.queries.plan import MemorySnapshot
from pachon.releases.models import Column, ForeignKey, Release, Table
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access
from pachon.vo import votable

SCHEMA = "tap_schema"
DESCRIPTION = "What this service holds, in the form of TAP 1.1"

_REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TEXT, _INT, _LONG, _DOUBLE = DataType.CHAR, DataType.INT, DataType.LONG, DataType.DOUBLE

_MOST_KEPT = 32
_OURS = {"nrows", "min_value", "max_value"}
"""Columns that TAP does not define."""
_Made = tuple[int, tuple[Release, ...], Mapping[str, MemorySnapshot]]

_Spec = tuple[str, DataType, str]
_TABLES: dict[str, tuple[str, tuple[_Spec, ...], tuple[str, ...]]] = {
    "schemas": (
        "Schemas you may ask; each is a release",
        (
            ("schema_name", _TEXT, "Name, for use in queries"),
            ("utype", _TEXT, "Data model"),
            ("description", _TEXT, "What it holds"),
            ("schema_index", _INT, "Recommended order"),
        ),
        ("schema_name",),
    ),
    "tables": (
        "Tables you may ask",
        (
            ("schema_name", _TEXT, "Schema the table belongs to"),
            ("table_name", _TEXT, "Qualified name, for use in queries"),
            ("table_type", _TEXT, "table or view"),
            ("utype", _TEXT, "Data model"),
            ("description", _TEXT, "What it holds"),
            ("table_index", _INT, "Recommended order"),
            ("nrows", _LONG, "Number of rows"),
        ),
        ("table_name",),
    ),
    "columns": (
        "Columns of the tables you may ask",
        (
            ("table_name", _TEXT, "Qualified name of the table"),
            ("column_name", _TEXT, "Name, for use in queries"),
            ("datatype", _TEXT, "VOTable datatype"),
            ("arraysize", _TEXT, "VOTable arraysize"),
            ("xtype", _TEXT, "VOTable xtype"),
            ("size", _INT, "Length of a text of fixed length (use arraysize)"),
            ("description", _TEXT, "What it holds"),
            ("utype", _TEXT, "Data model"),
            ("unit", _TEXT, "Unit, in VOUnits"),
            ("ucd", _TEXT, "Meaning, as UCD1+"),
            ("indexed", _INT, "1 if asking by it is fast"),
            ("principal", _INT, "1 if it is one of the most wanted"),
            ("std", _INT, "1 if a standard defines it"),
            ("column_index", _INT, "Recommended order"),
            ("min_value", _DOUBLE, "Least value, of numbers; in the unit of the column"),
            ("max_value", _DOUBLE, "Greatest value, of numbers; in the unit of the column"),
        ),
        ("table_name", "column_name"),
    ),
    "keys": (
        "Foreign keys between the tables you may ask",
        (
            ("key_id", _TEXT, "Identifier of the key"),
            ("from_table", _TEXT, "Table that refers"),
            ("target_table", _TEXT, "Table referred to"),
            ("utype", _TEXT, "Data model"),
            ("description", _TEXT, "What the key means"),
        ),
        ("key_id",),
    ),
    "key_columns": (
        "Columns of the foreign keys",
        (
            ("key_id", _TEXT, "Identifier of the key"),
            ("from_column", _TEXT, "Column that refers"),
            ("target_column", _TEXT, "Column referred to"),
        ),
        ("key_id", "from_column"),
    ),
}
_KEYS = (
    ("tables", "schema_name", "schemas", "schema_name"),
    ("columns", "table_name", "tables", "table_name"),
    ("keys", "from_table", "tables", "table_name"),
    ("keys", "target_table", "tables", "table_name"),
    ("key_columns", "key_id", "keys", "key_id"),
)


def own_tables() -> tuple[Table, ...]:
    """The five tables of TAP_SCHEMA, described like any other."""
    return tuple(_own_table(name) for name in _TABLES)


class TapSchema:
    """TAP_SCHEMA for each person, kept until what they may see changes. Safe to use from many threads.

    Parameters
    ----------
    releases
        What each person may see.
    ranges
        What is known of the values of columns.
    most
        Sets of visible releases for which it is kept; the one that was asked for longest ago is forgotten first.
    """

    def __init__(self, releases: ReleaseService, *, ranges: ValueRanges | None = None, most: int = _MOST_KEPT) -> None:
        self._releases = releases
        self._ranges = ranges or ValueRanges()
        self._most = most
        self._made: OrderedDict[tuple[str, ...], _Made] = OrderedDict()
        self._lock = Lock()

    def __call__(self, principal: Principal) -> Mapping[str, MemorySnapshot]:
        """The tables by qualified name, over the releases that this person may ask."""
        visible = self._releases.visible(principal, Access.QUERY)
        key = tuple(release.id for release in visible)
        version = self._ranges.version
        with self._lock:
            made_of, described, tables = self._made.get(key, (version, (), {}))
        is_as_made = tables and all(old is new for old, new in zip(described, visible, strict=True))
        if not is_as_made or made_of != version:
            rows = contents(visible, self._ranges)
            tables = {table.qualified_name: MemorySnapshot(table, rows[table.name]) for table in own_tables()}
        with self._lock:
            self._made[key] = version, visible, tables
            self._made.move_to_end(key)
            if len(self._made) > self._most:
                self._made.popitem(last=False)
        return tables


def contents(releases: Iterable[Release], ranges: ValueRanges) -> dict[str, pa.Table]:
    """Rows that describe these releases and TAP_SCHEMA itself, by unqualified name of its table."""
    visible = tuple(releases)
    tables = (*(table for release in visible for table in release.tables), *own_tables())
    known = {table.qualified_name for table in tables}
    keys = [(table, key) for table in tables for key in table.foreign_keys if key.target_table in known]
    return {
        "schemas": _rows("schemas", _schema_rows(visible)),
        "tables": _rows("tables", _table_rows(tables)),
        "columns": _rows("columns", (row for table in tables for row in _column_rows(table, ranges.of(table)))),
        "keys": _rows("keys", (_key_row(table, key) for table, key in keys)),
        "key_columns": _rows("key_columns", (row for each in keys for row in _key_column_rows(*each))),
    }


def query_name(name: str) -> str:
    """A column name as it must be written in ADQL: quoted where it is reserved or not regular."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED:
        return name
    return '"{}"'.format(name.replace('"', '""'))


def _own_table(name: str) -> Table:
    description, columns, primary_key = _TABLES[name]
    return Table(
        schema=SCHEMA,
        name=name,
        description=description,
        columns=tuple(_own_column(*column, indexed=column[0] in primary_key) for column in columns),
        primary_key=primary_key,
        foreign_keys=tuple(
            ForeignKey(
                id=start_column,
                target_table=f"{SCHEMA}.{target}",
                from_columns=(start_column,),
                target_columns=(target_column,),
            )
            for start, start_column, target, target_column in _KEYS
            if start == name
        ),
    )


def _own_column(name: str, datatype: DataType, description: str, *, indexed: bool) -> Column:
    arraysize = "*" if datatype is DataType.CHAR else None
    is_unicode = name == "description"
    field = Field(name=name, datatype=datatype, arraysize=arraysize, description=description, is_unicode=is_unicode)
    return Column(field=field, principal=True, indexed=indexed, std=name not in _OURS)


def _rows(name: str, rows: Iterable[Sequence[object]]) -> pa.Table:
    fields = tuple(column.field for column in _own_table(name).columns)
    schema = arrow_schema(fields)
    columns = [field.name for field in fields]
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema=schema)


def _schema_rows(releases: tuple[Release, ...]) -> Iterator[Sequence[object]]:
    for index, release in enumerate(releases):
        yield release.id, None, release.description, index
    yield SCHEMA, None, DESCRIPTION, len(releases)


def _table_rows(tables: Iterable[Table]) -> Iterator[Sequence[object]]:
    for index, table in enumerate(tables):
        row_count = table.row_count if table.schema != SCHEMA else None
        yield table.schema, table.qualified_name, "table", None, table.description, index, row_count


def _column_rows(table: Table, ranges: Mapping[str, ValueRange]) -> Iterator[Sequence[object]]:
    for index, column in enumerate(table.columns):
        told = votable.describe(column.field)
        size = told.get("arraysize", "")
        yield (
            table.qualified_name,
            query_name(column.name),
            *(told.get(name) for name in ("datatype", "arraysize", "xtype")),
            int(size) if size.isdecimal() else None,
            *(told.get(name) for name in ("description", "utype", "unit", "ucd")),
            *(int(flag) for flag in (column.indexed, column.principal, column.std)),
            index,
            *ranges.get(column.name, (None, None)),
        )


def _key_id(table: Table, key: ForeignKey) -> str:
    """An identifier of a key that no other has: releases of one schema name their keys alike."""
    return f"{table.qualified_name}.{key.id}"


def _key_row(table: Table, key: ForeignKey) -> Sequence[object]:
    return _key_id(table, key), table.qualified_name, key.target_table, None, key.description


def _key_column_rows(table: Table, key: ForeignKey) -> Iterator[Sequence[object]]:
    for start, target in zip(key.from_columns, key.target_columns, strict=True):
        yield _key_id(table, key), query_name(start), query_name(target)
