"""Simple Cone Search 1.03 over every table that has positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from pachon.core.errors import NotFoundError
from pachon.core.fields import DataType, Field

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
    """An answer in the words of version 1.03: UCD1 on the main columns, a text for identifier, double positions."""

    answer: Answer
    fields: tuple[Field, ...]

    @property
    def execution_id(self) -> str:
        """Id of the run."""
        return self.answer.execution_id

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches with the main columns in the types of their fields."""
        schema = pa.schema([pa.field(field.name, field.arrow_type) for field in self.fields])
        for batch in self.answer.batches:
            yield batch.cast(schema)

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

    def prepare(self, principal: Principal, table_name: str, request: ConeRequest) -> Prepared:
        """Bind a cone search, ready for its turn.

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
        )

    def start(self, principal: Principal, table_name: str, prepared: Prepared) -> ConeRows:
        """Rows inside the cone, in its turn; the caller closes them.

        Raises
        ------
        NotFoundError
            As `prepare`: the table may have gone meanwhile.
        UnavailableError
            If no worker is free in time.
        """
        table = self._table(principal, table_name)
        answer = self._queries.start(prepared)
        return ConeRows(answer, tuple(in_old_words(field, table) for field in answer.fields))

    def _table(self, principal: Principal, table_name: str) -> Table:
        table = self._releases.table(principal, table_name)
        if not table.has_position:
            raise NotFoundError(f"The table {table.qualified_name} has no positions; ask it through TAP.")
        return table


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
