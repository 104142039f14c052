"""A folder of this process alone, in one that processes share: however the process ends, its files go.

It is held by a lock that the system takes back when the process ends. What lies in a folder whose lock is free belongs
to nobody and is removed when the next process starts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from pathlib import Path

from pachon.core.ids import new_id

_LOG = logging.getLogger(__name__)
_LOCK = "lock"
_PRIVATE = 0o700


class OwnFolder:
    """A folder that is there until `close`. Opening one removes those of processes that are gone.

    Parameters
    ----------
    root
        Folder of all processes of this machine; made with access for this account alone.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        _sweep(root)
        self.path, self._lock = _new(root)

    def close(self) -> None:
        """Remove everything. Safe to call more than once."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _new(root: Path) -> tuple[Path, int | None]:
    """A new folder with its lock; another process that starts at this moment may take it for a lost one."""
    while True:
        folder = root / new_id()
        folder.mkdir(mode=_PRIVATE)
        lock = _locked(folder)
        if lock is not None and (folder / _LOCK).exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Take the lock of a folder, if nobody has it."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(root: Path) -> None:
    """Remove the folders of processes that are gone."""
    for folder in (each for each in root.iterdir() if (each / _LOCK).is_file()):
        if (lock := _locked(folder)) is not None:
            _LOG.info("files of a process that is gone are removed: %s", folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
