"""Named points at which a process kills itself, so that tests can show what a crash at any of them leaves behind.

A point does nothing unless it is armed: by a test, or by the setting `failpoint` (`PACHON_FAILPOINT`).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from pachon.core.errors import SetupError

NAMES = (
    "create.before-description",
    "create.before-rename",
    "import.before-run",
    "import.after-spill",
    "import.after-checks",
    "import.before-partition",
    "import.after-dataset",
    "import.before-properties",
    "import.before-cleanup",
    "import.before-part",
    "import.before-part-list",
    "add.before-table",
    "add.after-file",
    "publish.before-manifest",
    "publish.before-rename",
    "publish.before-commit",
    "registry.before-replace",
    "registry.after-replace",
    "move.after-file",
    "move.before-rename",
    "move.before-commit",
    "retire.before-delete",
    "clean.before-commit",
    "start.after-reserve",
    "start.after-create",
)
"""All points there are, in the order in which a command, or the hub that starts a lab, passes them."""


@dataclass(slots=True)
class _Armed:
    """The point that kills, and how often it lets pass before."""

    name: str | None = None
    passes: int = 0


_ARMED = _Armed()


def arm(name: str, *, passes: int = 0) -> None:
    """Let this process die, as by `kill -9`, when it comes to a point.

    Parameters
    ----------
    passes
        How often the point is passed unharmed before.

    Raises
    ------
    SetupError
        If there is no such point.
    """
    if name not in NAMES:
        raise SetupError(f"There is no failpoint '{name}'; allowed are {', '.join(NAMES)}.")
    _ARMED.name, _ARMED.passes = name, passes


def failpoint(name: str) -> None:
    """Die here if this point is armed."""
    if name == _ARMED.name:
        if not _ARMED.passes:
            os.kill(os.getpid(), signal.SIGKILL)
        _ARMED.passes -= 1
