"""`pachon up`: from nothing to a running platform, in the foreground or detached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from pachon.app import preparation, progress
from pachon.app.accounts import account_lines, make_secrets
from pachon.app.settings import ListenSettings, Settings
from pachon.app.supervisor import checks, family, record
from pachon.app.supervisor.errand import Errand
from pachon.app.supervisor.models import Layout, PlatformRecord
from pachon.app.supervisor.programs import door_urls, listen_environment, pachon_command, programs, settings_environment
from pachon.app.supervisor.service import Supervisor
from pachon.core import failpoints
from pachon.core.clock import now
from pachon.hub.config import NO_ISOLATION

_READY_TIMEOUT_S = 120.0
_DERIVED_PORTS = ("proxy_port", "proxy_api_port", "hub_port", "api_port", "portal_port")


def settled(home: Path | None, port: int | None) -> Settings:
    """The settings, changed by the command line.

    Parameters
    ----------
    home
        Replaces the setting `home`.
    port
        Replaces `listen.proxy_port`. The other ports follow it one by one unless they were set; so they do if the
        setting itself was given.
    """
    settings = Settings() if home is None else Settings(home=home)
    if settings.failpoint is not None:
        failpoints.arm(settings.failpoint)
    changes: dict[str, object] = {"home": settings.home.resolve()}
    if port is not None or "proxy_port" in settings.listen.model_fields_set:
        changes["listen"] = _listen(settings.listen, settings.listen.proxy_port if port is None else port)
    return settings.model_copy(update=changes)


def _listen(given: ListenSettings, port: int) -> ListenSettings:
    follow = {name: port + offset for offset, name in enumerate(_DERIVED_PORTS)}
    kept = {name: getattr(given, name) for name in given.model_fields_set - {"proxy_port"}}
    return ListenSettings(**{**follow, **kept})


def run(settings: Settings) -> None:
    """Start everything and keep it running until SIGINT, SIGTERM or SIGHUP.

    Raises
    ------
    SetupError
        If this machine or these settings do not allow it; nothing is left running.
    """
    checks.check_home(settings.home)
    layout = Layout(settings.home)
    stop = StopRequest()
    stop.listen()
    with record.only_one(layout), progress.display() as display:
        if ended := family.end_leftovers(layout.home):
            display.say(f"Ended {ended} processes that an earlier run had left.")
        base = _base_record(settings)
        record.write(layout, base)
        checks.check_disk(settings.home, needed_bytes=preparation.NEEDED_BYTES)
        checks.check_ports(settings.listen)
        supervisor = Supervisor(
            programs(settings, make_secrets(settings)),
            layout,
            base=base,
            tell=_teller(layout, display),
            stop_asked=stop.is_asked,
            errand=_errand(settings, layout, display),
        )
        _supervise(supervisor, settings, display)


def _errand(settings: Settings, layout: Layout, display: progress.Display) -> Errand | None:
    """The building of the default catalogues, where it is needed."""
    if preparation.are_complete(settings):
        return None
    display.begin(preparation.CATALOGUES)
    return Errand(
        pachon_command("prepare"),
        settings_environment(settings),
        layout.log(preparation.CATALOGUES),
        tell=lambda line: preparation.show(line, display),
        done=lambda: display.done(preparation.CATALOGUES),
    )


def _base_record(settings: Settings) -> PlatformRecord:
    started = record.start_time(os.getpid()) or 0.0
    return PlatformRecord(pid=os.getpid(), started=started, home=str(settings.home), base_url=settings.base_url)


def _teller(layout: Layout, display: progress.Display) -> Callable[[str], None]:
    """Show a line and keep it, with its time, in the supervisor's own log."""
    layout.logs.mkdir(exist_ok=True, mode=0o700)

    def tell(line: str) -> None:
        display.say(line)
        with layout.log("supervisor").open("a") as log:
            log.write(f"{now():%Y-%m-%dT%H:%M:%SZ} {line}\n")

    return tell


def _welcome(settings: Settings) -> list[str]:
    accounts = account_lines(settings)
    return [
        "",
        f"Pachon is up: {settings.base_url}",
        "",
        *(["Demo accounts (name, password):", *accounts, "", NO_ISOLATION, ""] if accounts else []),
        "Try:",
        f"  {settings.base_url}/portal/   the sky map and a first query, as novice",
        f"  {settings.base_url}/hub/spawn   JupyterLab, as astronomer",
        f"  {settings.base_url}/api/tap   this address in TOPCAT or pyvo; no login needed for public catalogues",
        "",
    ]


def _supervise(supervisor: Supervisor, settings: Settings, display: progress.Display) -> None:
    try:
        for step in ("proxy", "api", "hub", "portal"):
            display.begin(step)
        supervisor.start()
        if supervisor.wait_until_ready(door_urls(settings), timeout_s=_READY_TIMEOUT_S, ready=display.done):
            for line in _welcome(settings):
                display.say(line)
            supervisor.keep()
    finally:
        display.say("Stopping.")
        supervisor.stop()
        display.say("Stopped.")


def run_detached(settings: Settings) -> None:
    """Start everything in the background and return once it is ready, having shown what it said meanwhile.

    Raises
    ------
    SetupError
        If it did not become ready.
    """
    checks.check_home(settings.home)
    layout = Layout(settings.home)
    layout.logs.mkdir(exist_ok=True, mode=0o700)
    said = layout.log("up")
    said.unlink(missing_ok=True)
    with said.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 -- this program
            [sys.executable, "-m", "pachon.app.cli", "up", "--home", str(settings.home)],
            env={**os.environ, **listen_environment(settings.listen)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with said.open() as lines:
        _relay_until(lambda: _is_ready(layout, process.pid) or process.poll() is not None, lines.read)
    if process.poll() is not None:
        raise SystemExit(process.returncode or 1)
    process.returncode = 0  # it goes on without us: no warning about a child that still runs


def _relay_until(done: Callable[[], bool], read: Callable[[], str]) -> None:
    finished = False
    while not finished:
        finished = done()
        sys.stdout.write(read())
        sys.stdout.flush()
        time.sleep(0 if finished else 0.1)


def _is_ready(layout: Layout, pid: int) -> bool:
    known = record.read(layout)
    return known is not None and known.pid == pid and known.ready


class StopRequest:
    """Remembers that somebody asked to stop; asking again changes nothing."""

    def __init__(self) -> None:
        self._asked = False

    def is_asked(self) -> bool:
        """Whether somebody did."""
        return self._asked

    def listen(self) -> None:
        """Take Ctrl-C, a polite kill and a closed terminal as such a request, from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked = True
