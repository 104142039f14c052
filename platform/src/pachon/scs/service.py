"""Simple Cone Search, 1.03 and on request 1.1, over every table that has positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import NotFoundError
from pachon.core.fields import DataType, Field, arrow_schema

if TYPE_CHECKING:
    from pachon.identity.models import Principal
    from pachon.queries.models import Answer
    from pachon.queries.service import Prepared, QueryService
    from pachon.releases.models import Column, Table
    from pachon.releases.service import ReleaseService
    from pachon.scs.models import ConeLimits, ConeRequest
    from pachon.vo.models import ServiceDescriptor


@dataclass(frozen=True, slots=True)
class ConeRows:
    """An answer in the words of a version, and an identifier made of the position where the table has none.

    Parameters
    ----------
    fields
        Columns of the rows; those of the answer stand last.
    position
        Names of the columns of the position, where an identifier is made of them.
    """

    answer: Answer
    fields: tuple[Field, ...]
    position: tuple[str, str] | None = None

    @property
    def execution_id(self) -> str:
        """Id of the run."""
        return self.answer.execution_id

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person who asks should know: a cone is clear, nothing."""
        return self.answer.warnings

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches in the types of their fields."""
        schema = arrow_schema(self.fields)
        for batch in self.answer.batches:
            columns = batch.columns
            if self.position is not None:
                columns = [_identifiers(*(batch.column(name) for name in self.position)), *columns]
            typed = [column.cast(kind) for column, kind in zip(columns, schema.types, strict=True)]
            yield pa.record_batch(typed, schema=schema)

    @property
    def overflow(self) -> bool:
        """After the last batch: whether there were more rows."""
        return self.answer.overflow

    def close(self) -> None:
        """Stop reading."""
        self.answer.close()


class ConeSearchService:
    """Finds rows around a position.

    Parameters
    ----------
    services
        Tells what a person can ask further of rows with some fields.
    """

    def __init__(
        self,
        queries: QueryService,
        releases: ReleaseService,
        limits: ConeLimits,
        *,
        services: Callable[[Principal, tuple[Field, ...]], tuple[ServiceDescriptor, ...]],
    ) -> None:
        self._queries = queries
        self._releases = releases
        self.limits = limits
        self.services = services

    def prepare(self, principal: Principal, table_name: str, request: ConeRequest, *, client: str = "") -> Prepared:
        """Bind a cone search, ready for its turn. `client` is the program that asks.

        Raises
        ------
        NotFoundError
            If there is no such table with positions that this person may see.
        """
        table = self._table(principal, table_name)
        return self._queries.prepare_cone(
            principal,
            table.qualified_name,
            request.cone,
            columns=_columns(table, verbosity=request.verbosity),
            max_rows=request.max_rows,
            client=client,
        )

    def start(
        self, principal: Principal, table_name: str, prepared: Prepared, *, has_old_words: bool = True
    ) -> ConeRows:
        """Rows inside the cone, in its turn; the caller closes them.

        Parameters
        ----------
        has_old_words
            As in the request.

        Raises
        ------
        NotFoundError
            As `prepare`: the table may have gone meanwhile.
        UnavailableError
            If no worker is free in time.
        """
        table = self._table(principal, table_name)
        answer = self._queries.start(prepared)
        fields = tuple(in_old_words(field, table) for field in answer.fields) if has_old_words else answer.fields
        if table.id_column is not None or table.ra_column is None or table.dec_column is None:
            return ConeRows(answer, fields)
        made = _made_identifier(fields, ucd=_MAIN_UCDS["id_column"] if has_old_words else "meta.id;meta.main")
        return ConeRows(answer, (made, *fields), (table.ra_column, table.dec_column))

    def _table(self, principal: Principal, table_name: str) -> Table:
        table = self._releases.table(principal, table_name)
        if not table.has_position:
            raise NotFoundError(f"The table {table.qualified_name} has no positions; ask it through TAP.")
        return table


def _made_identifier(fields: tuple[Field, ...], *, ucd: str) -> Field:
    """The column of identifiers of a table without them, which the standard wants (section 2.2), under a free name."""
    taken = {field.name.lower() for field in fields}
    name = next(name for name in (f"{'_' * n}position_id" for n in range(len(taken) + 1)) if name not in taken)
    about = "Right ascension and declination: the table has no identifiers"
    return Field(name=name, datatype=DataType.CHAR, arraysize="*", ucd=ucd, description=about)


def _identifiers(ra: pa.Array, dec: pa.Array) -> pa.Array:
    """Both coordinates, degrees, so that other positions have other identifiers."""
    return pc.binary_join_element_wise(ra.cast(pa.string()), dec.cast(pa.string()), " ")


_MAIN_UCDS = {"id_column": "ID_MAIN", "ra_column": "POS_EQ_RA_MAIN", "dec_column": "POS_EQ_DEC_MAIN"}
_ALL, _PRINCIPAL = 3, 2


def _columns(table: Table, *, verbosity: int) -> tuple[str, ...]:
    """The columns of a verbosity (Simple Cone Search 1.03, section 2.1.1): the main ones always, in table order."""
    main = {table.id_column, table.ra_column, table.dec_column}
    return tuple(c.name for c in table.columns if c.name in main or _is_wanted(c, verbosity=verbosity))


def _is_wanted(column: Column, *, verbosity: int) -> bool:
    if verbosity == _ALL:
        return True
    return column.principal and (verbosity == _PRINCIPAL or column.indexed)


def in_old_words(field: Field, table: Table) -> Field:
    """The field with UCD1 if it is a main one (section 2.2): the identifier is a text, a position is double.

    No other field keeps such a UCD, since there must be exactly one of each.
    """
    role = next((role for role in _MAIN_UCDS if getattr(table, role) == field.name), None)
    if role is None:
        return replace(field, ucd=None) if (field.ucd or "").upper() in _MAIN_UCDS.values() else field
    datatype, arraysize = (DataType.CHAR, "*") if role == "id_column" else (DataType.DOUBLE, None)
    return replace(field, datatype=datatype, arraysize=arraysize, xtype=None, ucd=_MAIN_UCDS[role])
