"""Labs as local processes, one a person, each in a private folder.

Embedded mode isolates nobody from the machine: every lab runs as the user who started the platform.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Unicode

from pachon.core import clock
from pachon.core.errors import UnavailableError
from pachon.hub import release_folders

_STARTED = "started"


class LabSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]
    """Starts a lab in `<home>/homes/<user>` and finds it again after the hub was restarted.

    A process is known by its id and its start time: after a reboot the same id may belong to a stranger.
    """

    started: float = 0.0
    platform_url = Unicode(help="Base of the Web APIs, which decide what a lab may read.").tag(config=True)
    platform_token = Unicode(help="Token of the service `labs`, for that question.").tag(config=True)

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """What a new process does before it becomes the lab: enter its folder, keep new files private."""
        del name
        home = self._home()

        def enter() -> None:
            os.umask(0o077)
            os.chdir(home)

        return enter

    async def start(self) -> tuple[str, int]:
        """Start the lab, with the releases that its owner may read now, and remember when it started."""
        await self.show_releases()
        address: tuple[str, int] = await super().start()
        self.started = _start_time(self.pid)
        return address

    async def show_releases(self) -> None:
        """Lay links to the release folders that the owner may read, and take away all others.

        Without an answer of the Web APIs the lab starts with none, and says why.
        """
        reason, folders = "", dict[str, Path]()
        groups = [group.name for group in self.user.groups]
        try:
            folders |= await release_folders.ask(
                self.platform_url, self.platform_token, name=self.user.name, groups=groups
            )
        except UnavailableError as error:
            reason = error.message
            self.log.warning("The lab of %s starts without releases: %s", self.user.name, error.__cause__)
        await asyncio.to_thread(release_folders.show, self._home(), folders, at=clock.now(), reason=reason)

    def _home(self) -> Path:
        home = Path(self.home_dir)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.chmod(0o700)
        return home

    def get_state(self) -> dict[str, Any]:
        """What the hub keeps over a restart."""
        return {**super().get_state(), _STARTED: self.started}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what the hub kept."""
        super().load_state(state)
        self.started = state.get(_STARTED, 0.0)

    async def poll(self) -> int | None:
        """None while the lab runs, else its exit status (0 when unknown)."""
        if self.proc is None and self.pid and _start_time(self.pid) != self.started:
            self.clear_state()
        status: int | None = await super().poll()
        return status


def _start_time(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return 0.0 if gone else process.create_time()
    except psutil.NoSuchProcess:
        return -1.0
