"""Reads table descriptions in Felis, the schema language of the LSST (YAML), into tables and columns.

Understood: schemas, tables, columns with their `ivoa:`, `fits:`, `tap:` and `votable:` annotations, primary keys,
indexes and foreign keys. Other annotations concern other programs and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import yaml

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field
from pachon.releases.models import Column, ForeignKey, Table

_DATATYPES = {
    "boolean": DataType.BOOLEAN,
    "byte": DataType.UNSIGNED_BYTE,
    "short": DataType.SHORT,
    "int": DataType.INT,
    "long": DataType.LONG,
    "float": DataType.FLOAT,
    "double": DataType.DOUBLE,
    "char": DataType.CHAR,
    "string": DataType.CHAR,
    "text": DataType.CHAR,
    "unicode": DataType.CHAR,
    "timestamp": DataType.TIMESTAMP,
}
_UNICODE = frozenset({"text", "unicode"})
"""Texts with letters of every script. Felis itself makes `text` a `char`, which binary VOTables restrict to ASCII."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
"""A schema of a survey has thousands of columns: the safe loader in C is ten times as fast."""


class _MainColumns(TypedDict):
    """Those arguments of `Table` that follow from UCDs."""

    id_column: str | None
    ra_column: str | None
    dec_column: str | None


@dataclass(frozen=True, slots=True)
class _Node:
    """A mapping somewhere in the document, and where."""

    path: str
    values: Mapping[str, object]

    def error(self, key: str, problem: str) -> UsageError:
        """What to raise when the value of a key is wrong."""
        return UsageError(f"{self.path}.{key}: {problem}")

    def text(self, key: str) -> str:
        """A value that must be there."""
        value = self.optional_text(key)
        if value is None:
            raise self.error(key, "is missing; it must be a text.")
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, or None where the key is absent. Numbers (an arraysize) are texts too."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise self.error(key, f"must be a text, not {value!r}.")
        return str(value).strip()

    def name(self) -> str:
        """The element's name, which must be a regular ADQL identifier."""
        name = self.text("name")
        if not _NAME.fullmatch(name):
            raise self.error("name", f"'{name}' must be a letter followed by letters, digits or '_'.")
        return name

    def flag(self, key: str) -> bool:
        """A yes or no, written as 0, 1, false or true; no where absent."""
        value = self.values.get(key, 0)
        if value not in (0, 1):
            raise self.error(key, f"must be 0 or 1, not {value!r}.")
        return bool(value)

    def index(self, key: str) -> float:
        """A place in an order; last where absent."""
        value = self.values.get(key, float("inf"))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"must be a whole number, not {value!r}.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text; empty where absent."""
        value = self.values.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise self.error(key, f"must be a list of texts, not {value!r}.")
        return tuple(listed)

    def children(self, key: str) -> tuple[_Node, ...]:
        """The mappings of a list; empty where absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.error(key, f"must be a list, not {value!r}.")
        return tuple(self._child(key, number, each) for number, each in enumerate(value))

    def _child(self, key: str, number: int, value: object) -> _Node:
        if not isinstance(value, Mapping):
            raise self.error(f"{key}[{number}]", f"must be a mapping, not {value!r}.")
        return _Node(f"{self.path}.{key}[{value.get('name', number)}]", value)


@dataclass(frozen=True, slots=True)
class _Target:
    """What an `@id` of a column stands for."""

    table: str
    column: str


def read_schema(path: Path) -> tuple[Table, ...]:
    """Read the tables of a Felis file, in the order of `tap:table_index`.

    Raises
    ------
    UsageError
        If the document is not valid, with the place in it.
    """
    return parse_schema(path.read_text(encoding="utf-8"), source=path.name)


def parse_schema(text: str, *, source: str = "schema") -> tuple[Table, ...]:
    """Read the tables of a Felis text; `source` names it in errors.

    Raises
    ------
    UsageError
        If the document is not valid, with the place in it.
    """
    try:
        document = yaml.load(text, Loader=LOADER)  # noqa: S506 -- both loaders are safe ones
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{source}{line}: this is not YAML: {error.problem}.") from None
    if not isinstance(document, Mapping):
        raise UsageError(f"{source}: a schema must be a mapping with 'name' and 'tables'.")
    schema = _Node(source, document)
    name = schema.name()
    nodes = schema.children("tables")
    if not nodes:
        raise schema.error("tables", "must list at least one table.")
    _refuse_twins(schema, "tables", nodes)
    targets = _targets(nodes)
    ordered = sorted(nodes, key=lambda node: node.index("tap:table_index"))
    return tuple(_table(node, name, targets) for node in ordered)


def _targets(tables: tuple[_Node, ...]) -> dict[str, _Target]:
    """The columns of all tables by their `@id`."""
    targets: dict[str, _Target] = {}
    for table in tables:
        for column in table.children("columns"):
            key = column.text("@id")
            if key in targets:
                raise column.error("@id", f"'{key}' is used twice.")
            targets[key] = _Target(table.name(), column.name())
    return targets


def _refuse_twins(parent: _Node, key: str, nodes: tuple[_Node, ...]) -> None:
    seen: set[str] = set()
    for node in nodes:
        name = node.name().lower()
        if name in seen:
            raise parent.error(key, f"has two elements named '{name}' (case does not count).")
        seen.add(name)


def _table(node: _Node, schema: str, targets: dict[str, _Target]) -> Table:
    nodes = node.children("columns")
    if not nodes:
        raise node.error("columns", "must list at least one column.")
    _refuse_twins(node, "columns", nodes)
    indexed = _indexed_columns(node, targets)
    ordered = sorted(nodes, key=lambda column: column.index("tap:column_index"))
    columns = tuple(_column(column, indexed) for column in ordered)
    return Table(
        schema=schema,
        name=node.name(),
        description=node.text("description"),
        columns=columns,
        primary_key=_own_columns(node, "primaryKey", targets),
        foreign_keys=_foreign_keys(node, schema, targets),
        **_main_columns(node, columns),
    )


def _column(node: _Node, indexed: frozenset[str]) -> Column:
    name = node.name()
    field = Field(
        name=name,
        datatype=_datatype(node),
        arraysize=_arraysize(node),
        xtype=node.optional_text("votable:xtype") or ("timestamp" if _datatype(node) is DataType.TIMESTAMP else None),
        unit=node.optional_text("ivoa:unit") or node.optional_text("fits:tunit"),
        ucd=node.optional_text("ivoa:ucd"),
        utype=node.optional_text("votable:utype"),
        description=node.optional_text("description"),
        nullable="nullable" not in node.values or node.flag("nullable"),
        is_unicode=node.text("datatype") in _UNICODE,
    )
    principal, std = node.flag("tap:principal"), node.flag("tap:std")
    return Column(field=field, principal=principal, indexed=name in indexed, std=std)


def _datatype(node: _Node) -> DataType:
    name = node.text("datatype")
    if name not in _DATATYPES:
        raise node.error("datatype", f"'{name}' is not one of {', '.join(sorted(_DATATYPES))}.")
    return _DATATYPES[name]


def _arraysize(node: _Node) -> str | None:
    datatype, declared = _datatype(node), node.optional_text("votable:arraysize")
    return "*" if datatype is DataType.CHAR and declared is None else declared


def _indexed_columns(node: _Node, targets: dict[str, _Target]) -> frozenset[str]:
    """The columns named by an index of the table."""
    indexes = node.children("indexes")
    return frozenset(name for index in indexes for name in _own_columns(index, "columns", targets, table=node.name()))


def _own_columns(node: _Node, key: str, targets: dict[str, _Target], *, table: str | None = None) -> tuple[str, ...]:
    """Names of columns of a table, given by their `@id`."""
    owner = table or node.name()
    found = tuple(_resolve(node, key, reference, targets) for reference in node.texts(key))
    for target in found:
        if target.table != owner:
            raise node.error(key, f"column '{target.column}' belongs to table '{target.table}', not to '{owner}'.")
    return tuple(target.column for target in found)


def _resolve(node: _Node, key: str, reference: str, targets: dict[str, _Target]) -> _Target:
    try:
        return targets[reference]
    except KeyError:
        raise node.error(key, f"no column has the @id '{reference}'.") from None


def _foreign_keys(node: _Node, schema: str, targets: dict[str, _Target]) -> tuple[ForeignKey, ...]:
    constraints = node.children("constraints")
    return tuple(
        _foreign_key(constraint, node.name(), schema, targets)
        for constraint in constraints
        if constraint.text("@type") == "ForeignKey"
    )


def _foreign_key(node: _Node, table: str, schema: str, targets: dict[str, _Target]) -> ForeignKey:
    own = _own_columns(node, "columns", targets, table=table)
    key = "referencedColumns"
    others = tuple(_resolve(node, key, reference, targets) for reference in node.texts(key))
    if not own or len(own) != len(others):
        raise node.error(key, f"must list as many columns as 'columns' does ({len(own)}, at least one).")
    if len({target.table for target in others}) > 1:
        raise node.error(key, "must all belong to one table.")
    return ForeignKey(
        id=node.name(),
        target_table=f"{schema}.{others[0].table}",
        from_columns=own,
        target_columns=tuple(target.column for target in others),
        description=node.optional_text("description"),
    )


def _main_columns(node: _Node, columns: tuple[Column, ...]) -> _MainColumns:
    """The columns of the main identifier and position; a position is both coordinates or none."""
    main = _MainColumns(
        id_column=_main_column(node, columns, "meta.id;meta.main"),
        ra_column=_main_column(node, columns, "pos.eq.ra;meta.main"),
        dec_column=_main_column(node, columns, "pos.eq.dec;meta.main"),
    )
    if (main["ra_column"] is None) != (main["dec_column"] is None):
        raise node.error("columns", "a main right ascension needs a main declination, and the other way round.")
    return main


def _main_column(node: _Node, columns: tuple[Column, ...], ucd: str) -> str | None:
    names = [column.name for column in columns if column.field.ucd == ucd]
    if len(names) > 1:
        raise node.error("columns", f"only one column may have the UCD '{ucd}', not {' and '.join(names)}.")
    return names[0] if names else None
