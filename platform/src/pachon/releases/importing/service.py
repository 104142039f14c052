"""Imports files into a table: all rows of all files, or nothing and a list of what is wrong."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from pachon.core.failpoints import failpoint
from pachon.core.fields import arrow_schema
from pachon.releases.hats.plain import PlainBuild
from pachon.releases.hats.writer import PARTITION_ROWS, CatalogueBuild, CatalogueFormat
from pachon.releases.importing.checks import RowChecker
from pachon.releases.importing.columns import ColumnPlan, plan_columns
from pachon.releases.importing.duplicates import duplicate_keys, keys
from pachon.releases.importing.findings import GIVE_UP, Findings
from pachon.releases.importing.models import Finding, ImportReport, Problem, Source, UnreadableFileError
from pachon.releases.importing.sources import all_files, open_source
from pachon.releases.models import Partition, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 1  # raised whenever an import writes other bytes from the same files, so that no old half is gone on with


class _Build(Protocol):
    """A table in the making: `CatalogueBuild` or `PlainBuild`."""

    @property
    def rows_kept(self) -> int: ...

    def add(self, batches: Iterator[pa.RecordBatch]) -> None: ...

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]: ...

    def finish(self) -> tuple[Partition, ...]: ...

    def discard(self) -> None: ...


def import_table(
    files: Sequence[Path],
    table: Table,
    folder: Path,
    *,
    report: Callable[[int], None] | None = None,
    partition_rows: int = PARTITION_ROWS,
) -> ImportReport:
    """Import files into a table: a HATS catalogue if it has positions, else plain Parquet files.

    Killed at any time and called again with the same files it goes on from what is complete; until it returns, no
    reader takes the folder for a table.

    Parameters
    ----------
    files
        CSV (also `.gz`), FITS, VOTable and Parquet files, or folders of Parquet files, in order.
    folder
        Made here; must be empty, not exist, or hold what an interrupted import left.
    report
        Takes the number of rows read so far.
    partition_rows
        Rows of a file, about.

    Raises
    ------
    UsageError
        If there is no such file, or its name is of no known format.
    ImportFindingsError
        If anything is wrong with the files; the folder is then as empty as before.
    """
    started = time.monotonic()
    chosen = all_files(files)
    findings = Findings()
    rows = _Rows(table, findings, _planned(chosen, table, findings), report or (lambda _: None))
    findings.raise_for(table.qualified_name)
    build = _build(table, folder, partition_rows, key=_key(chosen, table, partition_rows))
    build.add(rows.after(build.rows_kept))
    failpoint("import.after-spill")
    _find_duplicates(build, rows)
    if findings:
        build.discard()
    findings.raise_for(table.qualified_name)
    failpoint("import.after-checks")
    partitions = build.finish()
    return ImportReport(
        table=table.qualified_name,
        files=chosen,
        row_count=sum(partition.row_count for partition in partitions),
        size_bytes=sum(partition.path.stat().st_size for partition in partitions),
        seconds=time.monotonic() - started,
        partitions=partitions,
    )


@dataclass(slots=True)
class _Rows:
    """The rows of all files, checked."""

    table: Table
    findings: Findings
    planned: Sequence[tuple[Source, tuple[ColumnPlan, ...]]]
    report: Callable[[int], None]
    row_count: int = field(default=0, init=False)

    def after(self, skipped: int) -> Iterator[pa.RecordBatch]:
        """The rows after the first ones; once anything is wrong, rows are only looked at."""
        self.row_count = 0
        for checker, batch in self._read(skipped):
            checked = checker.checked(batch)
            self.row_count += len(batch)
            self.report(self.row_count)
            if not self.findings:
                yield checked
            elif self.findings.is_enough:
                return
        if not self.row_count and not self.findings:
            message = "there are no rows."
            file = ", ".join(source.path.name for source, _ in self.planned)
            self.findings.add(Finding(problem=Problem.EMPTY, file=file, message=message))

    def _read(self, skipped: int) -> Iterator[tuple[RowChecker, pa.RecordBatch]]:
        """Batches of each file with the checker of the file; those before are counted only."""
        for source, plans in self.planned:
            checker = RowChecker(source.path.name, self.table, plans, self.findings)
            try:
                for batch in source.batches():
                    passed = min(max(skipped - self.row_count, 0), len(batch))
                    checker.rows_done += passed
                    self.row_count += passed
                    if passed < len(batch):
                        yield checker, batch.slice(passed)
            except UnreadableFileError as error:
                self.findings.add(_unreadable(source.path, error))

    def places(self, repeated: NDArray[np.int64]) -> Iterator[tuple[str, int, tuple[object, ...]]]:
        """File, row and identifier of the rows with some keys, in order."""
        self.row_count = 0
        for checker, batch in self._read(0):
            first_row = checker.rows_done + 1
            identifiers = checker.checked(batch).select(list(_id_columns(self.table)))
            for row in np.flatnonzero(np.isin(keys(identifiers), repeated)):
                values = tuple(column[row].as_py() for column in identifiers.columns)
                yield checker.file, first_row + int(row), values


def _planned(
    files: Sequence[Path], table: Table, findings: Findings
) -> tuple[tuple[Source, tuple[ColumnPlan, ...]], ...]:
    planned = []
    for path in files:
        try:
            source = open_source(path)
            planned.append((source, plan_columns(source, table, findings)))
        except UnreadableFileError as error:
            findings.add(_unreadable(path, error))
    return tuple(planned)


def _unreadable(path: Path, error: UnreadableFileError) -> Finding:
    return Finding(problem=Problem.UNREADABLE, file=path.name, row=error.row, message=error.message)


def _key(files: Sequence[Path], table: Table, partition_rows: int) -> str:
    """Digest of all that decides what an import writes: two imports with one key write the same bytes."""
    states = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((_FORMAT, states, table, partition_rows)).encode()).hexdigest()


def _build(table: Table, folder: Path, partition_rows: int, *, key: str) -> _Build:
    schema = arrow_schema(tuple(column.field for column in table.columns))
    if table.ra_column is None or table.dec_column is None:
        return PlainBuild(folder, table.qualified_name, schema, part_rows=partition_rows, key=key)
    layout = CatalogueFormat(
        name=table.qualified_name,
        schema=schema,
        ra_column=table.ra_column,
        dec_column=table.dec_column,
        partition_rows=partition_rows,
    )
    return CatalogueBuild(folder, layout, key=key)


def _id_columns(table: Table) -> tuple[str, ...]:
    return (table.id_column,) if table.id_column is not None else table.primary_key


def _find_duplicates(build: _Build, rows: _Rows) -> None:
    """Add those rows to the findings whose identifier another row before has."""
    names = _id_columns(rows.table)
    if rows.findings or not names:
        return
    repeated = duplicate_keys(lambda: build.columns(names), build.rows_kept)[:GIVE_UP]
    seen: dict[tuple[object, ...], str] = {}
    for file, row, values in rows.places(repeated) if len(repeated) else ():
        if rows.findings.is_enough:
            break
        place = seen.setdefault(values, f"{file}, row {row}")
        if place != f"{file}, row {row}":
            shown = " ".join(map(str, values))
            message = f"the identifier {shown} is already that of {place}; identifiers must be unique."
            column = ", ".join(names)
            rows.findings.add(Finding(problem=Problem.DUPLICATE, file=file, row=row, column=column, message=message))
