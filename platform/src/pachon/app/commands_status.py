"""`pachon status` and `pachon down`: what other commands ask of a running supervisor."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from pachon.app.supervisor import family, health, record
from pachon.app.supervisor.models import Layout, PlatformRecord, ProcessRecord
from pachon.core.errors import SetupError

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process, as just probed."""

    name: str
    pid: int | None
    healthy: bool
    restarts: int
    log: str


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """The whole platform, as just probed; `ready` once it has been ready and every process answers now."""

    running: bool
    ready: bool
    home: str
    base_url: str | None = None
    pid: int | None = None
    processes: tuple[ProcessStatus, ...] = ()


def status(layout: Layout) -> PlatformStatus:
    """Read the supervisor's record and ask every process whether it works."""
    known = record.read(layout)
    if known is None:
        return PlatformStatus(running=False, ready=False, home=str(layout.home))
    processes = tuple(_probe(process) for process in known.processes)
    return PlatformStatus(
        running=True,
        ready=known.ready and all(process.healthy for process in processes),
        home=known.home,
        base_url=known.base_url,
        pid=known.pid,
        processes=processes,
    )


def wait_for_status(layout: Layout, *, timeout_s: float) -> PlatformStatus:
    """Wait until the platform is ready, or the time is over; returns the last status either way."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = status(layout)
        if found.ready or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_S)


def _probe(process: ProcessRecord) -> ProcessStatus:
    healthy = process.pid is not None and health.answers(process.health_url, any_answer=process.any_answer)
    return ProcessStatus(process.name, process.pid, healthy, process.restarts, process.log)


def stop(layout: Layout, *, timeout_s: float) -> bool:
    """Stop the platform of a home and wait until all of it has ended; False if there was none.

    Raises
    ------
    SetupError
        If it does not end in time.
    """
    known = record.read(layout)
    if known is not None:
        _end_supervisor(known, timeout_s=timeout_s)
    left = family.end_leftovers(layout.home)
    return known is not None or left > 0


def _end_supervisor(known: PlatformRecord, *, timeout_s: float) -> None:
    os.kill(known.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while record.is_alive(known.pid, known.started):
        if time.monotonic() > deadline:
            raise SetupError(f"The platform (process {known.pid}) has not ended after {timeout_s:g} s.")
        time.sleep(_POLL_S)
