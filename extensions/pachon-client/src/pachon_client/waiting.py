"""Waiting for what runs: its place in line and its expected end are shown, Ctrl-C stops it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from pachon_client.errors import AnswerError, PachonClientError, UnavailableError, UnreachableError
from pachon_client.transport import Transport

OVER = frozenset({"COMPLETED", "ERROR", "ABORTED", "ARCHIVED"})
"""Phases in which a job stays."""

PATIENCE_S = 60.0
"""How long a platform may be away before who waits for a run is told."""

_AWAY = (UnavailableError, UnreachableError, AnswerError)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
_QUEUE = "{urn:pachon:queue}queue"
_MINUTE_S, _HOUR_S = 60, 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the platform expects of a job; None where it does not say.

    Parameters
    ----------
    position
        Place in line, from 1.
    starts_in_s, ends_in_s
        Until it executes, and until it has ended, seconds.
    """

    position: int | None = None
    starts_in_s: float | None = None
    ends_in_s: float | None = None

    def __str__(self) -> str:
        """As told to who waits, such as `place 3 in line, begins in about 20 s, ends in about 2 min`."""
        place = "" if self.position is None else f"place {self.position} in line"
        begins = "" if self.starts_in_s is None else f"begins in about {_duration(self.starts_in_s)}"
        ends = "" if self.ends_in_s is None else f"ends in about {_duration(self.ends_in_s)}"
        return ", ".join(part for part in (place, begins, ends) if part)


def read_standing(document: bytes, now: datetime) -> Standing:
    """The standing in the document of a job (UWS 1.1, section 2.2.2.2); what cannot be read is left out."""
    try:
        root = ET.fromstring(document)  # noqa: S314 -- answered by the platform the person pointed at
        queue, quote = root.find(f"{_UWS}jobInfo/{_QUEUE}"), root.findtext(f"{_UWS}quote")
        place = {} if queue is None else queue.attrib
        return Standing(
            position=int(place["position"]) if "position" in place else None,
            starts_in_s=float(place["waitSeconds"]) if "waitSeconds" in place else None,
            ends_in_s=max(0.0, (datetime.fromisoformat(quote) - now).total_seconds()) if quote else None,
        )
    except (ET.ParseError, ValueError, TypeError):
        return Standing()


def wait(
    phase: str,
    read: Callable[[], str],
    *,
    tell: Callable[[str], None],
    stop: Callable[[], object],
    what: str,
    timeout_s: float | None,
) -> None:
    """Wait until a phase is one that stays; a platform that does not answer is asked again for a minute.

    Parameters
    ----------
    phase
        As it was read last.
    read
        Reads it again.
    tell
        Called with each.
    stop
        Called when the person interrupts the waiting.
    what
        What is waited for, for the message.

    Raises
    ------
    UnavailableError
        It still runs after `timeout_s`, or the platform does not answer any more.
    """
    started_s, pause_s = time.monotonic(), _FIRST_PAUSE_S
    end_s = math.inf if timeout_s is None else started_s + timeout_s
    try:
        while True:
            tell(phase)
            if phase in OVER or phase == "DRAFT":
                return
            if time.monotonic() > end_s:
                raise UnavailableError(f"{what} is still {phase} after {timeout_s:g} s.")
            time.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)
            phase = _outlasting(read, what=what, end_s=end_s)
    except KeyboardInterrupt:
        _stop(stop, what=what)
        raise


def _outlasting(read: Callable[[], str], *, what: str, end_s: float) -> str:
    """Read, and again while the platform is away, but no longer than a minute and not after `end_s`."""
    away_since_s, pause_s = math.inf, _FIRST_PAUSE_S
    while True:
        try:
            return read()
        except _AWAY as error:
            now_s = time.monotonic()
            away_since_s = min(away_since_s, now_s)
            if now_s >= min(away_since_s + PATIENCE_S, end_s):
                away = f"the platform has not answered for {now_s - away_since_s:.0f} s ({str(error).rstrip('.')})"
                raise UnavailableError(f"{what} may still run, but {away}.") from None
            asked_s = getattr(error, "retry_after_s", None) or 0
            time.sleep(min(max(pause_s, asked_s), away_since_s + PATIENCE_S - now_s, end_s - now_s))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)


def _stop(stop: Callable[[], object], *, what: str) -> None:
    try:
        stop()
    except PachonClientError as error:
        raise UnavailableError(f"{what} could not be stopped and may still run: {error}") from None


class Progress:
    """One line, renewed: the phase, the seconds since the first, and what the platform expects.

    In a notebook it stands below the cell, in a terminal on one line; elsewhere each new phase is one line of the
    standard error.

    Parameters
    ----------
    job_id
        The job; empty if it is somebody else's, of which the phase alone is known.
    """

    def __init__(self, transport: Transport, job_id: str) -> None:
        self._transport = transport
        self._job_id = job_id
        self._started_s = time.monotonic()
        self._phase = ""
        self._line = _line()

    def __call__(self, phase: str) -> None:
        """Show it; a phase that was there from the beginning and stays is not worth a word."""
        is_over = phase in OVER or phase == "DRAFT"
        if not (is_over and not self._phase):
            passed = f"{phase} after {time.monotonic() - self._started_s:.1f} s"
            expected = "" if is_over else str(self._standing())
            told = "; ".join(part for part in (passed, expected, "" if is_over else "interrupt to stop it") if part)
            self._line(told, is_new=phase != self._phase, is_last=is_over)
        self._phase = phase

    def _standing(self) -> Standing:
        if not self._job_id:
            return Standing()
        try:
            document = self._transport.get(f"tap/async/{self._job_id}").content
        except PachonClientError:
            return Standing()  # the next reading of the phase says what is wrong
        return read_standing(document, datetime.now(tz=UTC))


class Changes:
    """Calls `on_change` with a run whenever its phase is a new one."""

    def __init__(self, run: Any, on_change: Callable[[Any], None]) -> None:  # noqa: ANN401 -- a Job or a Query
        self._run = run
        self._on_change = on_change
        self._phase = ""

    def __call__(self, phase: str) -> None:
        """Take note of a phase."""
        if phase != self._phase:
            self._phase = phase
            self._on_change(self._run)


class _NotebookLine:
    """A line below the cell."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def __call__(self, text: str, *, is_new: bool, is_last: bool) -> None:
        del is_new, is_last
        bundle = {"text/plain": text}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _write_over(text: str, *, is_new: bool, is_last: bool) -> None:
    """The same line of a terminal again."""
    del is_new
    sys.stderr.write(f"\r\x1b[K{text}" + ("\n" if is_last else ""))
    sys.stderr.flush()


def _write_lines(text: str, *, is_new: bool, is_last: bool) -> None:
    del is_last
    if is_new:
        sys.stderr.write(f"{text}\n")


def _line() -> Callable[..., None]:
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell and hasattr(shell, "kernel"):
        from IPython.display import display  # noqa: PLC0415 -- IPython is optional

        return _NotebookLine(display)
    return _write_over if sys.stderr.isatty() else _write_lines


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"
