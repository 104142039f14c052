"""Debian's PostgreSQL, started for the length of a test run: in a temporary folder, on a Unix socket only."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

PACKAGE = "postgresql"
_START_TIMEOUT_S = 30


def binaries() -> Path | None:
    """Folder of the newest PostgreSQL server on this machine; Debian keeps it off the PATH."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found := shutil.which("initdb"):
        folders.append(Path(found).parent)
    return max(folders, key=_major, default=None)


def _major(folder: Path) -> int:
    version = folder.parent.name
    return int(version) if version.isdecimal() else 0


@dataclass
class PostgresServer:
    """A server that listens on a Unix socket in `folder`."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def create_database(self) -> str:
        """A fresh, empty database; returns its SQLAlchemy URL."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def conninfo(self, database: str) -> str:
        """How libpq finds a database."""
        return f"host={self.folder} user=postgres dbname={database}"

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the first connection to succeed."""
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.conninfo("postgres")).close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return


@contextmanager
def running_postgres(bin_folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A fresh server without durability, with further settings; stopped by its process id, its folder removed."""
    account = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if account:
            shutil.chown(folder, account, account)
        data = folder / "data"
        initdb = [
            bin_folder / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        ]
        subprocess.run(initdb, check=True, cwd=folder, user=account, group=account, stdout=subprocess.DEVNULL)
        options = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off", "unix_socket_directories": folder}
        words = [f"--{name}={value}" for name, value in {**options, **(settings or {})}.items()]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [bin_folder / "postgres", "-D", data, *words], cwd=folder, user=account, group=account, stderr=log
            )
        try:
            server = PostgresServer(folder)
            server.wait_until_ready(process)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder)
