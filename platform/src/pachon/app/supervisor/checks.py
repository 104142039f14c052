"""What a machine must offer before anything is started. Each check ends in one sentence that says what to do."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections import Counter
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from pachon.app.settings import ListenSettings
from pachon.core.errors import SetupError

_GIBIBYTE = 1024**3
_PORTS = ("proxy_port", "proxy_api_port", "hub_port", "api_port", "portal_port")


def check_home(home: Path) -> None:
    """Make the home folder and see that it can be written to.

    Raises
    ------
    SetupError
        If it cannot.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise SetupError(
            f"The folder {home} cannot be written to ({error.strerror}): choose another one with --home."
        ) from error


def check_disk(home: Path, *, needed_bytes: int) -> None:
    """See that the disk has room.

    Raises
    ------
    SetupError
        If it has less than `needed_bytes`.
    """
    free_bytes = shutil.disk_usage(home).free
    if free_bytes < needed_bytes:
        raise SetupError(
            f"The disk of {home} has {free_bytes / _GIBIBYTE:.1f} GiB free and {needed_bytes / _GIBIBYTE:.1f} GiB "
            "are needed: make room, or choose a folder on another disk with --home."
        )


def check_ports(listen: ListenSettings) -> None:
    """See that every port is free and used once.

    Raises
    ------
    SetupError
        Naming the port and, where it can be seen, who has it.
    """
    ports = {name: int(getattr(listen, name)) for name in _PORTS}
    port, times = Counter(ports.values()).most_common(1)[0]
    if times > 1:
        names = " and ".join(name for name, number in ports.items() if number == port)
        raise SetupError(f"Port {port} is given to {names}: choose different ones in the settings 'listen'.")
    for name, number in ports.items():
        _check_port(listen.host if name == "proxy_port" else listen.inner_host, number)


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = _owner(port) or error.strerror
            raise SetupError(
                f"Port {port} on {host} cannot be used ({reason}): stop what uses it, or choose others with --port."
            ) from error


def _owner(port: int) -> str | None:
    try:
        connections = psutil.net_connections(kind="tcp")
        pids = (found.pid for found in connections if found.status == psutil.CONN_LISTEN and found.laddr.port == port)
        pid = next((pid for pid in pids if pid), None)
        return f"taken by {psutil.Process(pid).name()}, process {pid}" if pid else None
    except psutil.Error:
        return None
