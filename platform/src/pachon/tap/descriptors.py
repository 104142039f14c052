"""What a row leads to (DataLink 1.1, section 4): an object has a light curve where a table with times refers to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pachon.core.errors import NotFoundError, UsageError
from pachon.core.fields import DataType, Field
from pachon.releases.models import Column, Table
from pachon.tap.schema import query_name
from pachon.vo import votable
from pachon.vo.models import ServiceDescriptor, ServiceInput

_TIME_UCD = "time.epoch"
_FORMATS = ("votable", "votable/td", "csv", "fits", "parquet")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LightCurve:
    """The rows of one table that refer to a row of another, in order of time.

    Parameters
    ----------
    sources
        The table that refers.
    column
        Its column that holds the identifier.
    time
        Its column of times.
    objects
        The table referred to.
    id_column
        The identifier there.
    """

    sources: Table
    column: Column
    time: Column
    objects: Table
    id_column: Column

    @property
    def origin(self) -> str:
        """The identifier as `Field.origin` tells it."""
        return f"{self.objects.qualified_name}.{self.id_column.name}"

    def descriptor(self, address: str, field: Field, *, number: int = 1) -> ServiceDescriptor:
        """How clients ask for it with a row at hand.

        Parameters
        ----------
        address
            What answers TABLE, COLUMN and ID.
        field
            The column of the answer that holds the identifier.
        number
            Which such column of the answer it is, from 1.
        """
        described = votable.describe(field)
        identifier = ServiceInput(
            name="ID",
            datatype=described["datatype"],
            arraysize=described.get("arraysize", ""),
            ucd="meta.id",
            column=field.name,
            description=f"{self.id_column.name} of {self.objects.qualified_name}",
        )
        fixed = {"TABLE": self.sources.qualified_name, "COLUMN": self.column.name}
        name = f"light-curve.{self.sources.qualified_name}.{self.column.name}"
        return ServiceDescriptor(
            id=re.sub(r"[^A-Za-z0-9_.-]", "_", name if number == 1 else f"{name}.{number}"),
            name=f"Light curve in {self.sources.qualified_name}",
            description=f"Rows of {self.sources.qualified_name} that belong to this row, by {self.time.name}",
            access_url=address,
            content_type=votable.MEDIA_TYPE,
            inputs=(
                identifier,
                *(ServiceInput(name=name, value=value) for name, value in fixed.items()),
                ServiceInput(name="RESPONSEFORMAT", value=_FORMATS[0], options=_FORMATS),
            ),
        )

    def adql(self, identifier: str) -> str:
        """The query that answers for one identifier.

        Raises
        ------
        UsageError
            If the identifier is not of the column's type.
        """
        table = ".".join(query_name(part) for part in (self.sources.schema, self.sources.name))
        column, time = query_name(self.column.name), query_name(self.time.name)
        value = self._literal(identifier)
        return f"SELECT * FROM {table} WHERE {column} = {value} ORDER BY {time}"  # noqa: S608 -- quoted or checked

    def _literal(self, identifier: str) -> str:
        if not self.column.field.datatype.is_integer:
            return "'{}'".format(identifier.replace("'", "''"))
        if not _INTEGER.fullmatch(identifier):
            raise UsageError(f"ID must be a whole number, not '{identifier[:60]}'.", parameter="ID")
        return str(int(identifier))


def light_curves(tables: Iterable[Table]) -> tuple[LightCurve, ...]:
    """The light curves of the rows of some tables, by those among them that refer to others."""
    known = tuple(tables)
    targets = {table.qualified_name: table for table in known}
    return tuple(curve for table in known for curve in _curves(table, targets))


def descriptors(fields: Iterable[Field], tables: Iterable[Table], *, address: str) -> tuple[ServiceDescriptor, ...]:
    """The service descriptors for an answer.

    Parameters
    ----------
    fields
        Columns of the answer; what is offered depends on their origins, not on their names.
    tables
        All that the person may ask.
    address
        Where light curves are asked for.
    """
    holding: dict[str, list[Field]] = {}
    for field in fields:
        if field.origin:
            holding.setdefault(field.origin, []).append(field)
    return tuple(
        curve.descriptor(address, field, number=number)
        for curve in (light_curves(tables) if holding else ())
        for number, field in enumerate(holding.get(curve.origin, ()), 1)
    )


def find(tables: tuple[Table, ...], *, table: str, column: str) -> LightCurve:
    """The light curve that a descriptor named, with names in any case.

    Raises
    ------
    NotFoundError
        If there is none among these tables.
    """
    for curve in light_curves(tables):
        if (curve.sources.qualified_name.lower(), curve.column.name.lower()) == (table.lower(), column.lower()):
            return curve
    raise NotFoundError(f"There is no light curve by the column '{column[:60]}' of a table '{table[:60]}'.")


def _curves(sources: Table, targets: dict[str, Table]) -> Iterator[LightCurve]:
    time = _time_column(sources)
    own = {column.name: column for column in sources.columns}
    for key in sources.foreign_keys:
        objects = targets.get(key.target_table)
        if time is None or objects is None or len(key.from_columns) != 1:
            continue
        if key.target_columns[0] == objects.id_column:
            id_column = next(column for column in objects.columns if column.name == objects.id_column)
            column = own[key.from_columns[0]]
            yield LightCurve(sources=sources, column=column, time=time, objects=objects, id_column=id_column)


def _time_column(table: Table) -> Column | None:
    """The column of times: by its UCD, the main one first; else the first timestamp."""
    by_ucd = [column for column in table.columns if (column.field.ucd or "").startswith(_TIME_UCD)]
    main = [column for column in by_ucd if "meta.main" in (column.field.ucd or "")]
    stamps = [column for column in table.columns if column.field.datatype is DataType.TIMESTAMP]
    return next(iter([*main, *by_ucd, *stamps]), None)
