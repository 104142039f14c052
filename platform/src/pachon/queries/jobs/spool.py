"""Results on disk: one Arrow IPC stream a job, written as it comes, there only when it is complete.

The schema of a file carries the fields, so that a result reads back as the answer it was. Its name carries the attempt:
two processes that execute the same job after a lost lease write two files, and the job's row says which one counts.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pachon.core.errors import NotFoundError, UnavailableError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.core.ids import new_id
from pachon.queries.jobs.models import Job
from pachon.queries.uploads.storage import file_name

_LOG = logging.getLogger(__name__)
_FIELDS, _WARNINGS = b"pachon.fields", b"pachon.warnings"
_WHOLE, _PART = ".arrow", ".part"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")
_STRAY_AFTER_S = 3_600.0


class SpooledRows:
    """A result that was kept, read batch by batch; keeps the promise of `vo.http.ClosableRows`. Must be closed."""

    def __init__(self, path: Path, *, execution_id: str, overflow: bool) -> None:
        self.execution_id = execution_id
        self.overflow = overflow
        self._file = pa.OSFile(str(path), "rb")
        self._reader = pa.ipc.open_stream(self._file)
        self.fields = _fields(self._reader.schema)
        self.warnings = tuple(json.loads(self._reader.schema.metadata.get(_WARNINGS, b"[]")))
        self._turn = threading.Lock()
        self._closed = False
        self.batches = self._flow()

    def close(self) -> None:
        """Let go of the file. Safe to call more than once, also while another thread reads."""
        with self._turn:
            self._closed = True
            self._reader.close()
            self._file.close()

    def _flow(self) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(self.fields)
        while (batch := self._next()) is not None:
            yield batch.replace_schema_metadata(None).cast(schema)

    def _next(self) -> pa.RecordBatch | None:
        with self._turn:
            return None if self._closed else next(iter(self._reader), None)


class StagedFiles:
    """Files under an id that no job has, so that what a killed process leaves of them is tidied away as strays."""

    def __init__(self, folder: Path, files: Mapping[str, Path]) -> None:
        self._folder = folder
        self._id = new_id()
        self._parts: list[str] = []
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part, path in files.items():
                self._parts.append(part)
                shutil.move(path, _sent(folder, self._id, part))
        except OSError as error:
            self.remove()
            raise UnavailableError(f"The files could not be kept on disk: {error.strerror or error}.") from error

    def give(self, job_id: str) -> None:
        """Make them files of a job, in place of those of the same parts: they go when these go."""
        while self._parts:
            part = self._parts[-1]
            _sent(self._folder, self._id, part).replace(_sent(self._folder, job_id, part))
            self._parts.pop()

    def remove(self) -> None:
        """Delete those that were given to no job."""
        for part in self._parts:
            _remove(_sent(self._folder, self._id, part))


class Spool:
    """The folder of results; processes that share jobs share it.

    Parameters
    ----------
    folder
        Made when needed; readable by this account only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(
        self,
        job: Job,
        fields: tuple[Field, ...],
        batches: Iterable[pa.RecordBatch],
        *,
        warnings: tuple[str, ...] = (),
        on_growth: Callable[[int], None],
    ) -> int:
        """Keep a result; it is there whole or not at all. What earlier attempts left behind is deleted.

        Parameters
        ----------
        batches
            With the schema `core.fields.arrow_schema(fields)`.
        warnings
            What is told beside the rows.
        on_growth
            Told the bytes written after each batch; what it raises ends the writing.

        Returns
        -------
        int
            Size on disk, bytes.

        Raises
        ------
        UnavailableError
            If the disk does not take it.
        """
        part = self._path(job, _PART)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for attempt in range(1, job.attempts):
                self.remove_attempt(replace(job, attempts=attempt))
            size_bytes = _write(part, _schema(fields, warnings), batches, on_growth)
            part.replace(self._path(job, _WHOLE))
        except OSError as error:
            raise UnavailableError(f"The result could not be written to disk: {error.strerror or error}.") from error
        finally:
            _remove(part)
        return size_bytes

    def read(self, job: Job) -> SpooledRows:
        """The result of a completed job.

        Raises
        ------
        NotFoundError
            If its file is gone.
        """
        try:
            path = self._path(job, _WHOLE)
            return SpooledRows(path, execution_id=job.execution_id or "", overflow=job.overflow)
        except FileNotFoundError:
            raise NotFoundError(f"The result of job {job.id} is not on disk any more; run the query again.") from None

    def stage(self, files: Mapping[str, Path]) -> StagedFiles:
        """Bring files that were sent, by name of the part, to the disk of jobs, ready to be given to one.

        Raises
        ------
        UnavailableError
            If the disk does not take them; those that it took are deleted.
        """
        return StagedFiles(self._folder, files)

    def sent(self, job: Job, parts: Sequence[str]) -> dict[str, Path]:
        """Of some parts, those whose files were sent for a job."""
        found = {part: _sent(self._folder, job.id, part) for part in parts}
        return {part: path for part, path in found.items() if path.is_file()}

    def sent_bytes(self, job_ids: Iterable[str]) -> int:
        """Size of all files that were sent for some jobs."""
        wanted = frozenset(job_ids)
        found = 0
        for path in self._folder.glob("*.sent"):
            if path.name.partition(".")[0] in wanted:
                with suppress(FileNotFoundError):
                    found += path.stat().st_size
        return found

    def path(self, job: Job) -> Path:
        """Where the result of a completed job lies."""
        return self._path(job, _WHOLE)

    def remove(self, job_id: str) -> None:
        """Delete all files of a job."""
        for path in self._folder.glob(f"{job_id}.*"):
            _remove(path)

    def remove_attempt(self, job: Job) -> None:
        """Delete what an attempt that does not count has written."""
        for suffix in (_WHOLE, _PART):
            _remove(self._path(job, suffix))

    def strays(self) -> frozenset[str]:
        """Ids of the jobs whose files have not changed for an hour, to be compared with the jobs there are."""
        old = time.time() - _STRAY_AFTER_S
        found = set()
        for path in self._folder.glob("*.*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < old:
                    found.add(path.name.partition(".")[0])
        return frozenset(found)

    def _path(self, job: Job, suffix: str) -> Path:
        return self._folder / f"{job.id}.{job.attempts}{suffix}"


def _sent(folder: Path, job_id: str, part: str) -> Path:
    return folder / f"{job_id}.{file_name(part)}.sent"


def _remove(path: Path) -> None:
    """Delete a file; one that cannot be deleted is tried again when old files are tidied away."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("%s could not be deleted: %s", path, error.strerror)


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], on_growth: Callable[[int], None]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with pa.ipc.new_stream(file, schema, options=_OPTIONS) as writer:
            for batch in batches:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
                on_growth(file.tell())
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _schema(fields: tuple[Field, ...], warnings: tuple[str, ...]) -> pa.Schema:
    told = json.dumps([dataclasses.asdict(field) for field in fields])
    return arrow_schema(fields).with_metadata({_FIELDS: told.encode(), _WARNINGS: json.dumps(warnings).encode()})


def _fields(schema: pa.Schema) -> tuple[Field, ...]:
    told: list[dict[str, Any]] = json.loads(schema.metadata[_FIELDS])
    return tuple(Field(**{**field, "datatype": DataType(field["datatype"])}) for field in told)
