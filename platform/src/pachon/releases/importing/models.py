"""Words of an import: where rows come from, what is wrong with them, and what was imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pachon.core.errors import UsageError
from pachon.core.fields import Field
from pachon.releases.models import Partition


class Problem(StrEnum):
    """What can be wrong with a file."""

    UNREADABLE = "unreadable files"
    EMPTY = "files without rows"
    MISSING_COLUMN = "missing columns"
    UNKNOWN_COLUMN = "unknown columns"
    WRONG_TYPE = "columns of a wrong type"
    WRONG_UNIT = "columns of a wrong or missing unit"
    WRONG_VALUE = "values that are not of the column's type"
    LOST_DIGITS = "integers that lost digits"
    MISSING_VALUE = "missing values"
    INFINITE = "infinite values"
    WRONG_POSITION = "positions out of range"
    DUPLICATE = "duplicate identifiers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Parameters
    ----------
    file
        Name of the file.
    row
        Number of the data row in the file, from 1; None if it is not about a row.
    column
        Name of the column; None if it is not about a column.
    message
        What is wrong, and what to do.
    """

    problem: Problem
    file: str
    message: str
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: {self.message}"


class ImportFindingsError(UsageError):
    """Files cannot be imported; nothing was.

    Parameters
    ----------
    table
        Qualified name of the table they were meant for.
    findings
        The first things that are wrong.
    counts
        How many there are of each kind.
    """

    def __init__(self, table: str, findings: tuple[Finding, ...], counts: dict[Problem, int]) -> None:
        told = ", ".join(f"{problem.value} ({count:,})" for problem, count in counts.items())
        lines = [f"Nothing was imported into '{table}', because of {told}:", *(f"  {finding}" for finding in findings)]
        more = sum(counts.values()) - len(findings)
        super().__init__("\n".join([*lines, *([f"  and {more:,} more."] if more else [])]))
        self.findings = findings
        self.counts = counts


class UnreadableFileError(UsageError):
    """A file, or the rest of it, cannot be read.

    Parameters
    ----------
    row
        The data row, from 1, where this is known.
    """

    def __init__(self, message: str, *, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as a file describes it.

    Parameters
    ----------
    type
        The Arrow type in which it is read.
    unit
        Its unit, if the file says one.
    ucd
        Its UCD, likewise.
    declared
        The whole description, where the file has one in the words of VOTable.
    """

    name: str
    type: pa.DataType
    unit: str | None = None
    ucd: str | None = None
    declared: Field | None = None


class Source(Protocol):
    """A file that holds rows."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        """Its columns, in order."""
        ...

    @property
    def states_units(self) -> bool:
        """Whether a column without a unit has none, rather than that nothing is said of units."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether all values are texts yet to be understood."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, with `columns`, never many at once.

        Raises
        ------
        UnreadableFileError
            If the file is damaged.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What was imported."""

    table: str
    files: tuple[Path, ...]
    row_count: int
    size_bytes: int
    seconds: float
    partitions: tuple[Partition, ...] = field(repr=False)
