"""One process under supervision: started, watched, restarted with back-off, stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from pachon.app.supervisor import family
from pachon.app.supervisor.models import Phase, ProcessRecord, Program

_FIRST_DELAY_S = 0.2
_MAX_DELAY_S = 30.0
_SETTLED_AFTER_S = 60.0


@dataclass(slots=True)
class Child:
    """A program and its present process.

    Parameters
    ----------
    program
        What to run.
    log_path
        Where its output goes; appended to.
    """

    program: Program
    log_path: Path
    phase: Phase = Phase.WAITING
    restarts: int = 0
    failures_in_row: int = 0
    last_status: int = 0
    due_at: float = 0.0
    started_at: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Process id, while there is a process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process."""
        self._process = family.start(self.program.command, self.program.environment, self.log_path)
        self.phase, self.started_at = Phase.STARTING, time.monotonic()

    def check(self) -> int | None:
        """The exit status of a process that ended since the last check, else None; a restart is then due."""
        status = self._process.poll() if self._process else None
        if status is None:
            return None
        settled = time.monotonic() - self.started_at > _SETTLED_AFTER_S
        self.failures_in_row = 1 if settled else self.failures_in_row + 1
        self._process, self.phase, self.last_status = None, Phase.WAITING, status
        self.due_at = time.monotonic() + self.delay_s
        return status

    @property
    def delay_s(self) -> float:
        """How long to wait before the next start: longer with each failure in a row."""
        return min(_FIRST_DELAY_S * 2.0 ** max(self.failures_in_row - 1, 0), _MAX_DELAY_S)

    def restart_if_due(self) -> bool:
        """Start again once the wait is over."""
        if self.phase is not Phase.WAITING or time.monotonic() < self.due_at:
            return False
        self.restarts += 1
        self.start()
        return True

    def ask_to_end(self) -> None:
        """Send SIGTERM, if there is a process."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_for_end(self, deadline: float) -> None:
        """Wait until the process has ended; at the deadline (monotonic seconds) it is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def record(self) -> ProcessRecord:
        """What to tell other commands."""
        return ProcessRecord(
            name=self.program.name,
            pid=self.pid,
            phase=self.phase,
            restarts=self.restarts,
            log=str(self.log_path),
            health_url=self.program.health_url,
            any_answer=self.program.any_answer,
        )


def describe_status(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    return f"signal {-status}, {signal.strsignal(-status)}"
