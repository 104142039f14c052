"""Runs the ordinary clients of package archives, and says in one sentence what went wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pachon.core.errors import SetupError

_TIMEOUT_S = 900


def run_client(command: Sequence[str], *, folder: Path, purpose: str) -> None:
    """Run a command in a folder and wait for its end.

    Raises
    ------
    SetupError
        If it cannot be started, fails or takes longer than 15 minutes.
    """
    try:
        done = subprocess.run(  # noqa: S603 -- commands are made here, of fixed words and our own paths
            list(command),
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except OSError:
        raise SetupError(f"{purpose} needs the program {command[0]}, which is not on this machine.") from None
    except subprocess.TimeoutExpired:
        raise SetupError(f"{purpose} took longer than {_TIMEOUT_S} seconds and was stopped; try again later.") from None
    if done.returncode:
        raise SetupError(f"{purpose} failed: {_last_error(done.stderr)}")


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "ERROR:"))]
    last = (errors or lines or ["it gave no reason"])[-1]
    return last.removeprefix("E:").removeprefix("ERROR:").strip()
