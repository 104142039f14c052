"""Turns uploads into tables: hands them to converter processes, one of which is kept ready."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pachon.core.errors import LimitError, PachonError, UnavailableError, UsageError
from pachon.core.fields import DataType, Field
from pachon.queries.engines.engine import OutgrownError
from pachon.queries.uploads.models import Upload, UploadedTable, UploadLimits

_LOG = logging.getLogger(__name__)
_FEW_ROWS = 500_000
_MODULE = "pachon.queries.uploads.converter"
_KINDS: dict[str, Callable[[str], PachonError]] = {
    "LimitError": lambda message: LimitError(message, parameter="UPLOAD"),
    "UsageError": lambda message: UsageError(message, parameter="UPLOAD"),
    "UnavailableError": UnavailableError,
}


class ConversionFaultError(RuntimeError):
    """The converter failed on what it should have read or refused: a fault of ours, which no second try mends."""


Found = Callable[[str], Path]
"""The file of a part of a request; raises UsageError if there is none."""


class Staging:
    """The conversion of the uploads of one query. Blocks in `tables`; `stop` ends it from another thread.

    Parameters
    ----------
    time_limit_s
        How long it may take before it is said to have outgrown its class; None for as long as the limits allow.
    """

    def __init__(
        self, stager: Stager, folder: Path, limits: UploadLimits, *, time_limit_s: float | None = None
    ) -> None:
        self._time_limit_s = time_limit_s
        self._stager = stager
        self._folder = folder
        self._limits = limits
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False

    def tables(self, uploads: Sequence[Upload], find: Found) -> tuple[UploadedTable, ...]:
        """Convert all uploads of a query.

        Raises
        ------
        UsageError
            What is wrong with one.
        LimitError
            What is too large, or took too long.
        OutgrownError
            If it takes too long for its class.
        UnavailableError
            If it was stopped, or the process ended.
        ConversionFaultError
            If the converter has a fault; its message is for the log.
        """
        places = [None if upload.part is None else str(find(upload.part).resolve()) for upload in uploads]
        asked = [{**asdict(each), "path": place} for each, place in zip(uploads, places, strict=True)]
        limits = {**asdict(self._limits), "hosts": sorted(self._limits.hosts)}
        request = json.dumps({"limits": limits, "folder": str(self._folder), "uploads": asked})
        with self._turn:
            if self._is_stopped:
                raise _lost()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            process = self._process = self._stager.take()
        tables: tuple[UploadedTable, ...] = ()
        try:
            answer = self._answer(process, request)
            if "tables" not in answer:
                raise _KINDS.get(answer["kind"], ConversionFaultError)(answer["message"])
            tables = tuple(_table(told) for told in answer["tables"])
        finally:
            self._let_go(process, is_as_new=bool(tables) and sum(each.row_count for each in tables) <= _FEW_ROWS)
        return tables

    def _let_go(self, process: subprocess.Popen[str], *, is_as_new: bool) -> None:
        """A converter that met nothing wrong and nothing large is used again."""
        with self._turn:
            self._process = None
            is_as_new = is_as_new and not self._is_stopped
        if is_as_new:
            self._stager.give_back(process)
        else:
            _end(process)

    def _answer(self, process: subprocess.Popen[str], request: str) -> dict[str, Any]:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a converter has no streams")
        is_late = threading.Event()

        def end_late() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(min(self._limits.timeout_s, self._time_limit_s or math.inf), end_late)
        timer.start()
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        finally:
            timer.cancel()
        if is_late.is_set() and self._time_limit_s is not None:
            raise OutgrownError
        if is_late.is_set():
            allowed = f"the {self._limits.timeout_s:g} s allowed"
            raise LimitError(f"Converting the uploads takes longer than {allowed}; send less.", parameter="UPLOAD")
        if not answer:
            _LOG.warning("converter %s ended with %s", process.pid, process.poll())
            raise _lost()
        found: dict[str, Any] = json.loads(answer)
        return found

    def stop(self) -> None:
        """End it; who waits for the tables learns so. Nothing is written any more when this returns."""
        with self._turn:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()


class Stager:
    """Keeps one converter ready, from the first use on.

    Parameters
    ----------
    limits
        Limits of uploads.
    """

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._turn = threading.Lock()
        self._spare: subprocess.Popen[str] | None = None
        self._is_closed = False

    def new_staging(self, folder: Path, *, time_limit_s: float | None = None) -> Staging:
        """A conversion to come, whose files lie in a folder: see `Staging`."""
        return Staging(self, folder, self._limits, time_limit_s=time_limit_s)

    def warm_up(self) -> None:
        """Start a converter ahead."""
        with self._turn:
            if self._spare is None and not self._is_closed:
                self._spare = _start()

    def take(self) -> subprocess.Popen[str]:
        """A converter for one query: end it, or give it back."""
        with self._turn:
            process, self._spare = self._spare, None
        if process is not None and process.poll() is not None:
            _end(process)
            process = None
        return process or _start()

    def give_back(self, process: subprocess.Popen[str]) -> None:
        """Have a converter wait for the next query, unless there is one."""
        with self._turn:
            is_wanted = self._spare is None and not self._is_closed
            if is_wanted:
                self._spare = process
        if not is_wanted:
            _end(process)

    def close(self) -> None:
        """End the one that is ready."""
        with self._turn:
            self._is_closed = True
            process, self._spare = self._spare, None
        if process is not None:
            _end(process)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 -- our own module
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _table(told: dict[str, Any]) -> UploadedTable:
    fields = tuple(Field(**{**field, "datatype": DataType(field["datatype"])}) for field in told["fields"])
    return UploadedTable(**{**told, "path": Path(told["path"]), "fields": fields})


def _lost() -> UnavailableError:
    return UnavailableError("The conversion of the uploads was stopped; please try again.", retry_after_s=1)
