"""What a writer needs to know of an answer, and of the document around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from pachon.core.fields import Field


class Rows(Protocol):
    """A running answer. Writers read it once; `overflow` holds after the last batch."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """Columns, in order."""
        ...

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        """Record batches with the schema `core.fields.arrow_schema(fields)`."""
        ...

    @property
    def overflow(self) -> bool:
        """Whether rows were left out because of the limit."""
        ...


@dataclass(frozen=True, slots=True)
class Info:
    """An INFO element: what an answer says of itself."""

    name: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInput:
    """A parameter of a described service (DataLink 1.1, section 4.1).

    Parameters
    ----------
    datatype, arraysize, unit, ucd
        As in VOTable.
    value
        The value to send; empty where the person chooses or the row tells.
    column
        Name of the column of the answer whose value to send; empty for none.
    options
        The values that may be chosen; empty for any.
    """

    name: str
    datatype: str = "char"
    arraysize: str = "*"
    unit: str = ""
    ucd: str = ""
    value: str = ""
    column: str = ""
    description: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDescriptor:
    """A service that can be asked with values of a row (DataLink 1.1, section 4).

    Parameters
    ----------
    id
        XML ID, unique in a document.
    name, description
        For people.
    access_url
        Address without parameters.
    standard_id, resource_id
        IVOIDs of the protocol and of the service; empty for services of no standard.
    content_type
        Media type of what it answers.
    """

    id: str
    access_url: str
    inputs: tuple[ServiceInput, ...]
    name: str = ""
    description: str = ""
    standard_id: str = ""
    resource_id: str = ""
    content_type: str = ""

    @property
    def references(self) -> frozenset[str]:
        """Columns of the answer that its inputs refer to."""
        return frozenset(given.column for given in self.inputs if given.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What stands around the rows in formats that have room for it.

    Parameters
    ----------
    description
        One sentence for people.
    infos
        Written before the rows.
    services
        What can be asked further of a row, in VOTables; left out where the answer lacks a column that it needs.
    """

    description: str = ""
    infos: tuple[Info, ...] = ()
    services: tuple[ServiceDescriptor, ...] = ()


Writer = Callable[[Rows, Heading], Iterator[bytes]]
"""Turns an answer into the bytes of a document, chunk by chunk; refuses at once what the format cannot hold."""
