"""A whole platform on free ports in a folder of its own, as people start it: `pachon up`."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

from pachon.app import commands_status
from pachon.app.supervisor.models import Layout

_PORTS = ("PROXY", "PROXY_API", "HUB", "API", "PORTAL")
_READY_TIMEOUT_S = 150.0
_STOP_TIMEOUT_S = 60.0
_WORKER, _WORKERS = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"
PACHON = (sys.executable, "-m", "pachon.app.cli")


@dataclass(frozen=True)
class Platform:
    """A running platform and the process that supervises it."""

    home: Path
    base_url: str
    environment: Mapping[str, str]
    supervisor: subprocess.Popen[bytes]
    output_path: Path

    @cached_property
    def accounts(self) -> dict[str, str]:
        """Passwords by account name."""
        listed = json.loads(self.command("demo-accounts", "--json").stdout)["accounts"]
        return {account["name"]: account["password"] for account in listed}

    @property
    def output(self) -> str:
        """What the supervisor has printed."""
        return self.output_path.read_text()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `pachon` command on this platform."""
        return subprocess.run(
            [*PACHON, *arguments, "--home", str(self.home)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_READY_TIMEOUT_S,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """The answer of `pachon status --json`."""
        return json.loads(self.command("status", "--json").stdout)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, read from the supervisor's record."""
        record = json.loads((self.home / "run" / "platform.json").read_text())
        return {process["name"]: process["pid"] for process in record["processes"]}

    def wait_until_ready(self, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Wait until every process answers."""
        found = commands_status.wait_for_status(Layout(self.home), timeout_s=timeout_s)
        assert found.ready, f"{found}\n{self.output}"

    @contextmanager
    def visitor(self) -> Iterator[httpx.Client]:
        """A browser-like client that has not logged in."""
        with httpx.Client(base_url=self.base_url, follow_redirects=True, timeout=30, trust_env=False) as client:
            yield client

    @contextmanager
    def person(self, name: str, password: str | None = None) -> Iterator[httpx.Client]:
        """A browser-like client that has sent the login form."""
        with self.visitor() as client:
            page = client.get("/hub/login")
            form = {
                "username": name,
                "password": self.accounts[name] if password is None else password,
                "_xsrf": re.search(r'name="_xsrf" value="([^"]+)"', page.text)[1],
            }
            client.post("/hub/login", data=form)
            yield client

    def stop(self) -> None:
        """Press Ctrl-C and wait for the end; nothing that the platform started survives it, labs included."""
        if self.supervisor.poll() is None:
            family = psutil.Process(self.supervisor.pid).children(recursive=True)
            self.supervisor.send_signal(signal.SIGINT)
            self.supervisor.wait(_STOP_TIMEOUT_S)
            assert [process for process in family if process.is_running()] == []


@contextmanager
def running_platform(
    home: Path, releases_path: Path | None = None, *, settings: Mapping[str, str] | None = None
) -> Iterator[Platform]:
    """Start a platform, wait until it is ready, stop it at the end.

    Parameters
    ----------
    home
        Folder of everything it keeps; made when needed.
    releases_path
        Releases to serve instead of the default catalogues.
    settings
        Further environment variables, such as `PACHON_HUB__PROXY`.
    """
    environment = platform_environment(releases_path, settings or {})
    home.mkdir(parents=True, exist_ok=True)
    output_path = home / "up.txt"
    with output_path.open("wb") as output:
        supervisor = subprocess.Popen(
            [*PACHON, "up", "--home", str(home)], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    host = environment.get("PACHON_LISTEN__HOST", "127.0.0.1")
    base_url = f"http://{host}:{environment['PACHON_LISTEN__PROXY_PORT']}"
    platform = Platform(home, base_url, environment, supervisor, output_path)
    try:
        _wait_for_record(platform)
        yield platform
    finally:
        platform.stop()


def _wait_for_record(platform: Platform) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    record = platform.home / "run" / "platform.json"
    while not (record.exists() and '"ready": true' in record.read_text()):
        assert platform.supervisor.poll() is None, platform.output
        assert time.monotonic() < deadline, platform.output
        time.sleep(0.1)


def platform_environment(releases_path: Path | None, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a platform on five free ports."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACHON_")}
    ports = {f"PACHON_LISTEN__{name}_PORT": str(port) for name, port in zip(_PORTS, free_ports(5), strict=True)}
    data = {"PACHON_DATA__PATH": str(releases_path), "PACHON_DATA__DEFAULT_CATALOGUES": "false"}
    return {**kept, **ports, **(data if releases_path else {}), **settings}


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of 127.0.0.1 that nothing listens on.

    They lie below those that the system hands out by itself, and each of several test processes draws from its own:
    until the platform listens, nobody else takes them.
    """
    number, processes = int(os.environ.get(_WORKER, "gw0")[2:]), int(os.environ.get(_WORKERS, "1"))
    candidates = range(10_000 + number, 32_000, processes)
    drawn = random.sample(candidates, len(candidates))
    return tuple(itertools.islice(filter(_is_free, drawn), count))


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
