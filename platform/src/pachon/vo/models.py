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
class Heading:
    """What stands around the rows in formats that have room for it.

    Parameters
    ----------
    description
        One sentence for people.
    infos
        Written before the rows.
    """

    description: str = ""
    infos: tuple[Info, ...] = ()


Writer = Callable[[Rows, Heading], Iterator[bytes]]
"""Turns an answer into the bytes of a document, chunk by chunk."""
