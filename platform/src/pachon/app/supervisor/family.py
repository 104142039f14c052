"""The supervisor as head of its family: orphaned descendants come to it, and none survives it.

Labs are children of the hub and outlive it; Linux hands them to the nearest ancestor that asked for orphans
(prctl(2), PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from pachon.app.settings import PLATFORM_MARK

MARK = PLATFORM_MARK

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def begin(home: Path) -> None:
    """Become the parent of every descendant whose own parent ends, and mark all of them as of this home."""
    os.environ[MARK] = str(home)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def start(command: tuple[str, ...], environment: Mapping[str, str], log_path: Path) -> subprocess.Popen[bytes]:
    """Start a member, in a session of its own: Ctrl-C in a terminal reaches the supervisor only.

    Parameters
    ----------
    command
        Program and arguments.
    environment
        Added to the supervisor's own.
    log_path
        Where its output goes; appended to.
    """
    with log_path.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 -- our own programs
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 -- one system call, nothing allocated
        )


def end_with_parent() -> None:
    """Ask for SIGTERM when the parent ends, however it ends; to be called in a new child."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def exited_child() -> int | None:
    """Process id of a child that has ended and waits to be reaped, or None; does not reap it."""
    try:
        result = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if result is None else result.si_pid


def reap(pid: int) -> None:
    """Let an ended orphan go."""
    os.waitpid(pid, 0)


def end_descendants(*, patience_s: float) -> None:
    """End every descendant, asking first; those that end their own children late are waited for too."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        while family := psutil.Process().children(recursive=True):
            for member in family:
                _send(member, ask)
            _, alive = psutil.wait_procs(family, timeout=patience_s)
            if alive:
                break
    _reap_all()


def end_leftovers(home: Path, *, patience_s: float = 5) -> int:
    """End the processes that an earlier supervisor of this home, itself killed, left behind; returns how many."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = [process for process in psutil.process_iter() if process.pid not in spared and _belongs(process, home)]
    for process in left:
        _send(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(left, timeout=patience_s)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=patience_s)
    return len(left)


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        return bool(process.environ().get(MARK) == str(home))
    except (psutil.Error, OSError):
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _reap_all() -> None:
    while (pid := exited_child()) is not None:
        reap(pid)
