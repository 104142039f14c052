"""The owner's side of one worker process."""

from __future__ import annotations

import itertools
import json
import logging
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from pachon.queries.engines import frames
from pachon.queries.engines.duckdb_sql import Statement
from pachon.queries.engines.frames import ClosedError, Kind

_LOG = logging.getLogger(__name__)
_START_TIMEOUT_S = 60.0
_END_S = 1.0
_MODULE = "pachon.queries.engines.duckdb_worker"


class NotStartedError(Exception):
    """A worker does not start; its text says why, for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What one worker may use.

    Parameters
    ----------
    folders
        The only folders it can read.
    temp_folder
        Where it may spill, up to `temp_bytes`, into a folder of its own that goes when it ends.
    niceness
        How far it stands back from the process that starts it when processors are short (0 to 19, as `nice`).
    """

    folders: tuple[str, ...]
    temp_folder: str
    threads: int = 1
    memory_bytes: int = 2 * 1024**3
    temp_bytes: int = 20 * 1024**3
    niceness: int = 0


def spill_share(folder: Path, *, wanted_bytes: int, reserve_bytes: int) -> float:
    """Which share of what workers may spill they get, so that all of them together leave a reserve of the disk free.

    Parameters
    ----------
    folder
        Where workers spill; it exists.
    wanted_bytes
        The limits of all workers together.
    """
    free = shutil.disk_usage(folder).free
    share = max(0.0, min(1.0, (free - reserve_bytes) / max(wanted_bytes, 1)))
    if share < 1:
        _LOG.warning("only %d bytes are free in %s: query workers may spill %.0f %%", free, folder, 100 * share)
    return share


_MOST_NICE = 19


class WorkerProcess:
    """A running worker; used by one query at a time.

    Raises
    ------
    NotStartedError
        If its process cannot be made.
    """

    def __init__(self, config: WorkerConfig) -> None:
        try:
            Path(config.temp_folder).mkdir(parents=True, exist_ok=True)
            self._spill = Path(tempfile.mkdtemp(dir=config.temp_folder))
        except OSError as error:
            raise NotStartedError(f"its folder cannot be made ({error})") from None
        config = replace(config, temp_folder=str(self._spill))
        self._wire, theirs = socket.socketpair()
        self._ids = itertools.count(1)
        self._id = 0
        self._late_at = time.monotonic() + _START_TIMEOUT_S
        with theirs:
            command = [sys.executable, "-m", _MODULE, str(theirs.fileno())]
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- our own module
                    command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:
                self._forget()
                raise NotStartedError(f"its process cannot be made ({error})") from None
        try:
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, min(own + config.niceness, _MOST_NICE))
            frames.send(self._wire, Kind.CONFIGURE, json.dumps(asdict(config)).encode())
        except (OSError, ClosedError):
            raise self._ended() from None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether the worker can take queries; to be asked until it is. Does not block.

        Raises
        ------
        NotStartedError
            If it ended, or did not start in time; it is closed then.
        """
        if not select.select([self._wire], [], [], 0)[0]:
            if time.monotonic() > self._late_at:
                self.close()
                raise NotStartedError(f"it was not ready within {_START_TIMEOUT_S:g} s")
            return False
        self._wire.settimeout(_START_TIMEOUT_S)
        try:
            kind, payload = frames.receive(self._wire)
        except (ClosedError, TimeoutError):
            raise self._ended() from None
        if kind is not Kind.READY:
            self.close()
            raise NotStartedError(f"its database cannot be opened ({payload.decode(errors='replace')})")
        return True

    def _ended(self) -> NotStartedError:
        """Let go of a process that ended before it was ready."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_S)
        status = self._process.poll()
        self.close()
        how = "it closed its connection" if status is None else f"it ended with exit status {status}"
        return NotStartedError(f"{how} before it was ready; what it printed is above")

    def start(self, statement: Statement) -> None:
        """Send a statement; its answer is then read with `receive`."""
        self._id = next(self._ids)
        request = {"id": self._id, "sql": statement.sql, "tables": list(statement.rows), "max_rows": statement.max_rows}
        self._wire.settimeout(_START_TIMEOUT_S)
        frames.send(self._wire, Kind.QUERY, json.dumps(request).encode())
        for table in statement.rows.values():
            frames.send(self._wire, Kind.TABLE, memoryview(_ipc(table)))

    def receive(self, *, deadline: float) -> tuple[Kind, bytearray]:
        """The next message, until `time.monotonic()` passes `deadline` (TimeoutError)."""
        self._wire.settimeout(max(deadline - time.monotonic(), 0.001))
        return frames.receive(self._wire)

    def cancel(self) -> None:
        """Ask it to end the present statement."""
        frames.send(self._wire, Kind.CANCEL, json.dumps({"id": self._id}).encode())

    def kill(self) -> None:
        """End the process now; a thread that reads from it learns so."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and let go of it and of what it spilled; nobody may read from it any more."""
        self.kill()
        self._forget()

    def _forget(self) -> None:
        self._wire.close()
        shutil.rmtree(self._spill, ignore_errors=True)


def _ipc(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
