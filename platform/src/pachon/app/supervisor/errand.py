"""Something that has to be done once while the platform starts, by a process that ends by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from io import TextIOWrapper
from pathlib import Path

from pachon.app.supervisor import family, logs
from pachon.core.errors import SetupError


class Errand:
    """A process to wait for, and what it says meanwhile.

    Parameters
    ----------
    command, environment
        How to start it; the environment adds to the supervisor's own.
    log_path
        Where its output goes; appended to.
    tell
        Receives each line of its output.
    done
        Called once it has ended well.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        log_path: Path,
        *,
        tell: Callable[[str], None],
        done: Callable[[], None],
    ) -> None:
        self._command = command
        self._environment = environment
        self._log_path = log_path
        self._tell = tell
        self._done = done
        self._is_done = False
        self._process: subprocess.Popen[bytes] | None = None
        self._said: TextIOWrapper | None = None
        self._unfinished = ""

    @property
    def pid(self) -> int | None:
        """Process id, once started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process."""
        self._log_path.touch(mode=0o600)
        self._said = self._log_path.open()
        self._said.seek(0, 2)
        self._process = family.start(self._command, self._environment, self._log_path)

    def is_done(self) -> bool:
        """Whether it has ended well; what it said since the last time is passed on.

        Raises
        ------
        SetupError
            If it failed, in its own last words.
        """
        status = self._process.poll() if self._process else None
        self._pass_on()
        if status:
            words = logs.last_words(self._log_path) or f"A step of the start failed: read {self._log_path}."
            raise SetupError(words)
        if status == 0 and not self._is_done:
            self._is_done = True
            self._done()
        return self._is_done

    def close(self) -> None:
        """Let go of its log."""
        if self._said:
            self._said.close()

    def _pass_on(self) -> None:
        *lines, self._unfinished = (self._unfinished + (self._said.read() if self._said else "")).split("\n")
        for line in lines:
            if not line.startswith(logs.SENTENCE):
                self._tell(line)
