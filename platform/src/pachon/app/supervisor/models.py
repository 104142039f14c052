"""Words of the supervisor: programs to run, and what has become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

SETUP_EXIT_STATUS = 2
"""With which a command of ours ends where the machine or the settings do not allow it: trying again is of no use."""


class Phase(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting to restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process to keep running.

    Parameters
    ----------
    name
        Short name, also of its log.
    title
        What people call it.
    command, environment
        How to start it; the environment adds to the supervisor's own.
    health_url
        An address that answers once it works.
    any_answer
        Whether an error answer also counts as working: a proxy in front of a part that is still starting.
    """

    name: str
    title: str
    command: tuple[str, ...]
    health_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    any_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """What is known of one process."""

    name: str
    pid: int | None
    phase: Phase
    restarts: int
    log: str
    health_url: str
    any_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRecord:
    """What the supervisor says of itself in `<home>/run/platform.json`.

    A process id alone may belong to a stranger after a reboot: `started` is the start time of the process (seconds
    since 1970) and must match.
    """

    pid: int
    started: float
    home: str
    base_url: str
    ready: bool = False
    processes: tuple[ProcessRecord, ...] = ()

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PlatformRecord:
        """Read back what `dataclasses.asdict` made."""
        processes = tuple(
            ProcessRecord(**{**process, "phase": Phase(process["phase"])}) for process in content["processes"]
        )
        return cls(**{**content, "processes": processes})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the supervisor keeps its files in `home`."""

    home: Path

    @property
    def record(self) -> Path:
        """The platform's record."""
        return self.home / "run" / "platform.json"

    @property
    def catalogues(self) -> Path:
        """What the default catalogues were when they were last found complete."""
        return self.home / "run" / "catalogues"

    @property
    def lock(self) -> Path:
        """Locked while a supervisor lives; the kernel frees it however that ends."""
        return self.home / "run" / "lock"

    @property
    def logs(self) -> Path:
        """Folder of logs."""
        return self.home / "logs"

    def log(self, name: str) -> Path:
        """Log of one process."""
        return self.logs / f"{name}.log"
