"""The record a supervisor leaves for other commands, and the lock that makes it the only one of its home."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from pachon.app.supervisor.models import Layout, PlatformRecord
from pachon.core.errors import ConflictError


def write(layout: Layout, record: PlatformRecord) -> None:
    """Replace the record in one step, so that no reader sees half of it."""
    unfinished = layout.record.with_suffix(".part")
    unfinished.write_text(json.dumps(asdict(record), indent=1))
    unfinished.replace(layout.record)


def read(layout: Layout) -> PlatformRecord | None:
    """The record of a supervisor that is alive, or None."""
    try:
        record = PlatformRecord.from_json(json.loads(layout.record.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if is_alive(record.pid, record.started) else None


def start_time(pid: int) -> float | None:
    """When a process started (seconds since 1970); None if it is gone or only waits to be reaped."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Whether the process of this id and start time still runs."""
    return start_time(pid) == started


@contextlib.contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the lock of a home.

    Raises
    ------
    ConflictError
        If another supervisor holds it.
    """
    _make_private(layout.lock.parent)
    with layout.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConflictError(f"Another 'pachon up' works in {layout.home}.") from error
        yield
        layout.record.unlink(missing_ok=True)


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
