"""A platform whose releases have files of every kind to download."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pachon.app import wiring
from pachon.app.settings import DownloadSettings, IdentitySettings, QuerySettings, Settings
from pachon.app.web import abandon_stalled, create_app
from pachon.releases.drafts import add_files, copy_release
from pachon.releases.manifest import MANIFEST
from pachon.releases.models import FileCollection, FileKind, Lifecycle
from pachon.releases.publishing import publish
from pachon.releases.registry import Records, Registry
from pachon.releases.tiers import move_archived
from pachon.rights.models import Audience
from support.app import know_people, serving
from support.hub_double import running_hub
from support.skies import make_release

RAW = "files/raw"
NOISE = f"{RAW}/noise.bin"
ODD = f'{RAW}/ünï "5\\6" %.txt'
EMPTY = f"{RAW}/nothing.txt"
SECRET = f"{RAW}/zarathustra.bin"


@dataclass(frozen=True)
class Shelf:
    """A running platform and the registry of its releases."""

    url: str
    client: httpx.Client
    registry: Registry
    noise: bytes

    def folder(self, release_id: str = "sky") -> Path:
        """Where the files of a release lie now."""
        return _folder(self.registry, release_id)

    def files(self, release_id: str = "sky") -> dict[str, bytes]:
        """The files of a release as they lie on disk."""
        root = self.folder(release_id)
        found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if name != MANIFEST}

    def publish_anew(self, files: Mapping[str, bytes]) -> None:
        """Put another build of `sky` in the place of this one, in which some raw files are others."""
        _publish_with(self.registry, "sky", files)

    @contextmanager
    def changed(self, path: str, content: bytes | None) -> Iterator[None]:
        """Another content, or nothing, on disk in the place of a file of `sky`, behind the back of its manifest."""
        place = self.folder() / path
        kept = place.rename(place.with_name("kept"))
        try:
            if content is not None:
                place.write_bytes(content)
            yield
        finally:
            kept.replace(place)


@contextmanager
def running_shelf(root: Path, *, noise_bytes: int = 3_000_001, **limits: float) -> Iterator[Shelf]:
    """Releases `sky` (open to all, archived) and `future` (for rights holders) with raw files beside their tables."""
    noise = os.urandom(noise_bytes)
    with ExitStack() as stack:
        hub = stack.enter_context(running_hub())
        know_people(hub)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        abandon_stalled(listener, timeout_s=limits.get("stall_timeout_s", 60))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings(
            home=root,
            public_url=url,
            identity=IdentitySettings(hub_url=hub.url, cache_s=0, api_token=hub.client_secret),
            queries=QuerySettings(short={"workers": 1}),
            downloads=DownloadSettings(**limits),
        )
        services = wiring.build(settings)
        _fill(services.registry, noise)
        stack.enter_context(serving(create_app(services), listener))
        client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=30))
        yield Shelf(url, client, services.registry, noise)


def _fill(registry: Registry, noise: bytes) -> None:
    now = datetime.now(tz=UTC)
    make_release(registry.root, release_id="sky", rows=2_000, partition_rows=500)
    make_release(registry.root, release_id="future", rows=100, audience=Audience.HOLDERS, release_date=now.date())
    _publish_with(registry, "sky", {NOISE: noise, ODD: b"odd", EMPTY: b""})
    _publish_with(registry, "future", {SECRET: b"secret" * 99})
    registry.change(_archived)
    assert move_archived(registry, at=now, report=lambda _: None) == ()


def _archived(records: Records) -> Records:
    return records.with_entry("sky", replace(records.entries["sky"], lifecycle=Lifecycle.ARCHIVED))


def _publish_with(registry: Registry, release_id: str, files: Mapping[str, bytes]) -> None:
    draft = copy_release(registry, release_id, _folder(registry, release_id), link=True, anew=True)
    with tempfile.TemporaryDirectory(dir=registry.root.parent) as sources:
        for path, content in files.items():
            (draft / path).unlink(missing_ok=True)
            (Path(sources) / Path(path).name).write_bytes(content)
        raw = FileCollection(id="raw", kind=FileKind.RAW, title="Noise")
        add_files(registry, release_id, raw, [Path(sources)], link=True)
    publish(registry, release_id, at=datetime.now(tz=UTC))


def _folder(registry: Registry, release_id: str) -> Path:
    return registry.locate(registry.read().entries[release_id].place)


def slow_reader(url: str, path: str) -> socket.socket:
    """A connection that has asked for a file and read only the head of the answer."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(30)
    reader.connect((urlsplit(url).hostname, urlsplit(url).port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reader.recv(15) == b"HTTP/1.1 200 OK"
    return reader
