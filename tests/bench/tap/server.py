"""The Web APIs in processes of their own, a client that costs next to nothing, and what the processes use."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import psutil

from support.stack import PACHON, free_ports

_START_TIMEOUT_S = 150.0
_SAMPLE_S = 0.02
_RESTS_S = 2.0
"""A connection that rested longer is made anew: the server ends those that rest for some seconds."""
_READ_BYTES = 1 << 20


class RefusedError(Exception):
    """The service did not answer 200."""


Answer = http.client.HTTPResponse
Reader = Callable[[Answer], int]


def size_of(answer: Answer) -> int:
    """Bytes of an answer, none of which is kept."""
    size_bytes = 0
    while piece := answer.read(_READ_BYTES):
        size_bytes += len(piece)
    return size_bytes


def rows_of(answer: Answer) -> int:
    """Rows of an answer in CSV without line breaks in its texts."""
    return answer.read().count(b"\n") - 1


class Client:
    """One kept connection to the API's port; answers are read to their end by `read`, which returns a number."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._used_at = 0.0

    def get(self, path: str, query: Mapping[str, object] | None = None, *, read: Reader = size_of) -> int:
        """What is read of an answer.

        Raises
        ------
        RefusedError
            If it is no 200, with what the service said.
        """
        return read(self._send("GET", f"{path}?{urlencode(query)}" if query else path))

    def tap(self, adql: str, *, read: Reader = size_of, **parameters: object) -> int:
        """What is read of the answer to a synchronous query."""
        return self.get("/api/tap/sync", {"LANG": "ADQL", "QUERY": adql, **parameters}, read=read)

    def post(self, path: str, body: bytes, *, media_type: str, read: Reader = size_of) -> int:
        """What is read of an answer, as `get`."""
        return read(self._send("POST", path, body, {"Content-Type": media_type}))

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if time.monotonic() - self._used_at > _RESTS_S:
            self._connection.close()
        self._used_at = time.monotonic()
        self._connection.request(method, path, body, dict(headers or {}))
        answer = self._connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            said = re.sub(r"<[^>]+>|\s+", " ", answer.read(4_000).decode(errors="replace")).strip()
            self._connection.close()
            raise RefusedError(f"{answer.status}: {said[:300]}")
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


@dataclass(frozen=True)
class Api:
    """The process of the Web APIs and, as its children, its query workers."""

    port: int
    process: subprocess.Popen[bytes]

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connection, closed at the end."""
        client = Client(self.port)
        try:
            yield client
        finally:
            client.close()

    def memory_bytes(self) -> int:
        """Memory of all its processes, what they share counted once (PSS)."""
        return sum(_pss_bytes(process.pid) for process in self._family())

    def cpu_s(self) -> float:
        """CPU time of all its processes, seconds."""
        times = [process.cpu_times() for process in self._family()]
        return sum(each.user + each.system for each in times)

    def _family(self) -> list[psutil.Process]:
        api = psutil.Process(self.process.pid)
        return [api, *api.children(recursive=True)]


@contextmanager
def running_api(home: Path, releases: Path, **settings: str) -> Iterator[Api]:
    """The Web APIs over a folder of releases, without the other processes of a platform; stopped at the end."""
    (port,) = free_ports(1)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACHON_")}
    environment = {
        **kept,
        "PACHON_HOME": str(home),
        "PACHON_DATA__PATH": str(releases),
        "PACHON_LISTEN__API_PORT": str(port),
        **settings,
    }
    home.mkdir(parents=True, exist_ok=True)
    with (home / "api.txt").open("wb") as output:
        process = subprocess.Popen(
            [*PACHON, "serve", "api"], env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=home
        )
    try:
        api = Api(port, process)
        _wait_until_it_answers(api, home / "api.txt")
        yield api
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_it_answers(api: Api, said: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        with suppress(OSError, RefusedError), api.client() as client:
            client.tap("SELECT TOP 1 table_name FROM tap_schema.tables")
            return
        assert api.process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)


@dataclass
class Peak:
    """The most memory that was seen, bytes."""

    bytes: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self, api: Api) -> None:
        """Look again and again until `stop`."""
        while not self._is_over.wait(_SAMPLE_S):
            self.bytes = max(self.bytes, api.memory_bytes())

    def stop(self) -> None:
        """End watching."""
        self._is_over.set()


@contextmanager
def watching(api: Api) -> Iterator[Peak]:
    """The peak of the memory while the block runs."""
    peak = Peak()
    thread = threading.Thread(target=peak.watch, args=(api,))
    thread.start()
    try:
        yield peak
    finally:
        peak.stop()
        thread.join()


def _pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # it has just ended
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
