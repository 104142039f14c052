"""The supervisor itself: one loop in one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pachon.app.supervisor import family, health, logs, record
from pachon.app.supervisor.child import Child, describe_status
from pachon.app.supervisor.errand import Errand
from pachon.app.supervisor.models import SETUP_EXIT_STATUS, Layout, Phase, PlatformRecord, Program
from pachon.core.errors import SetupError

_TICK_S = 0.1
_PROBE_EVERY_S = 0.5
_BOUND_LOGS_EVERY_S = 30.0
_PATIENCE_S = 10.0
_LAB_PATIENCE_S = 6.0
_REPEATED_FAILURES = 3


class Supervisor:
    """Starts programs, restarts what ends, stops everything.

    Parameters
    ----------
    programs
        What to run, in starting order.
    layout
        Where records and logs lie.
    base
        The record to complete with the processes.
    tell
        Receives one line for each event worth a person's attention.
    stop_asked
        Whether somebody asked to stop; looked at ten times a second.
    errand
        What is done meanwhile; the platform is ready once this has ended well, too.
    """

    def __init__(
        self,
        programs: tuple[Program, ...],
        layout: Layout,
        *,
        base: PlatformRecord,
        tell: Callable[[str], None],
        stop_asked: Callable[[], bool],
        errand: Errand | None = None,
    ) -> None:
        self._children = tuple(Child(program, layout.log(program.name)) for program in programs)
        self._layout = layout
        self._record = base
        self._tell = tell
        self._stop_asked = stop_asked
        self._errand = errand
        self._next_probe = 0.0
        self._next_bound = 0.0

    def start(self) -> None:
        """Start every program, and the errand."""
        family.begin(self._layout.home)
        self._layout.logs.mkdir(exist_ok=True, mode=0o700)
        for child in self._children:
            child.start()
        if self._errand:
            self._errand.start()
        self._write_record()

    def wait_until_ready(self, doors: tuple[str, ...], *, timeout_s: float, ready: Callable[[str], None]) -> bool:
        """Wait until every program works, every door answers and the errand is done; False if asked to stop meanwhile.

        Parameters
        ----------
        doors
            Addresses behind the proxy.
        timeout_s
            How long to wait, seconds; an errand may take longer.
        ready
            Told the name of each program as it begins to work.

        Raises
        ------
        SetupError
            If a program keeps ending or does not answer in time, or the errand fails.
        """
        deadline = time.monotonic() + timeout_s
        told: set[str] = set()
        while not self._stop_asked():
            self._tick()
            for child in self._children:
                if child.phase is Phase.RUNNING and child.program.name not in told:
                    told.add(child.program.name)
                    ready(child.program.name)
            is_done = self._errand is None or self._errand.is_done()
            if is_done and len(told) == len(self._children) and all(health.answers(door) for door in doors):
                self._record = replace(self._record, ready=True)
                self._write_record()
                return True
            self._give_up_if_hopeless(late=is_done and time.monotonic() > deadline)
        return False

    def keep(self) -> None:
        """Keep everything running until asked to stop."""
        while not self._stop_asked():
            self._tick()

    def stop(self) -> None:
        """End every program, then all that they or the errand started; nothing of the family survives."""
        deadline = time.monotonic() + _PATIENCE_S
        for child in self._children:
            child.ask_to_end()
        for child in self._children:
            child.wait_for_end(deadline)
        family.end_descendants(patience_s=_LAB_PATIENCE_S)
        if self._errand:
            self._errand.close()

    def _tick(self) -> None:
        time.sleep(_TICK_S)
        self._reap()
        changed = [self._notice_end(child) or child.restart_if_due() for child in self._children]
        if self._due("_next_probe", _PROBE_EVERY_S):
            changed += [self._notice_health(child) for child in self._children]
        if any(changed):
            self._write_record()
        if self._due("_next_bound", _BOUND_LOGS_EVERY_S):
            for path in self._layout.logs.glob("*.log"):
                logs.bound(path)

    def _due(self, name: str, every_s: float) -> bool:
        if time.monotonic() < getattr(self, name):
            return False
        setattr(self, name, time.monotonic() + every_s)
        return True

    def _reap(self) -> None:
        """Let ended orphans go; a child of ours is left to its own check."""
        own = {child.pid for child in self._children} | {self._errand.pid if self._errand else None}
        while (pid := family.exited_child()) is not None and pid not in own:
            family.reap(pid)

    def _notice_end(self, child: Child) -> bool:
        status = child.check()
        if status is None:
            return False
        self._tell(f"{child.program.title}: ended ({describe_status(status)}); starts again in {child.delay_s:g} s.")
        if child.failures_in_row >= _REPEATED_FAILURES:
            self._tell(f"{child.program.title}: failed {child.failures_in_row} times in a row; read {child.log_path}.")
        return True

    def _notice_health(self, child: Child) -> bool:
        program = child.program
        if child.phase is not Phase.STARTING or not health.answers(program.health_url, any_answer=program.any_answer):
            return False
        child.phase = Phase.RUNNING
        if child.restarts:
            self._tell(f"{program.title}: back (process {child.pid}).")
        return True

    def _give_up_if_hopeless(self, *, late: bool) -> None:
        for child in self._children:
            refused = child.failures_in_row > 0 and child.last_status == SETUP_EXIT_STATUS
            hopeless = refused or child.failures_in_row >= _REPEATED_FAILURES
            if hopeless or (late and child.phase is not Phase.RUNNING):
                reason = logs.last_words(child.log_path) or "It does not start."
                raise SetupError(f"{child.program.title}: {reason} Its log is {child.log_path}.")
        if late:
            raise SetupError(f"The platform does not answer at {self._record.base_url}: read {self._layout.logs}.")

    def _write_record(self) -> None:
        processes = tuple(child.record() for child in self._children)
        self._record = replace(self._record, processes=processes)
        record.write(self._layout, self._record)
