"""A platform whose releases have files of every kind to download."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pachon.app import wiring
from pachon.app.settings import DownloadSettings, IdentitySettings, QuerySettings, Settings
from pachon.app.web import abandon_stalled, create_app
from pachon.core.errors import NotFoundError
from pachon.identity.models import Principal
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.models import FileCollection, FileKind, Lifecycle, Release, StoredFile, Tier
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access, Audience
from pachon.rights.policy import RightsPolicy
from support.app import know_people, serving
from support.hub_double import running_hub
from support.skies import make_release

NOISE = "files/raw/noise.bin"
ODD = 'files/raw/ünï "5\\6" %.txt'
EMPTY = "files/raw/nothing.txt"
SECRET = "files/raw/zarathustra.bin"


@dataclass(frozen=True)
class Shelf:
    """A running platform and the folder of its releases."""

    url: str
    client: httpx.Client
    folder: Path
    noise: bytes

    def files(self, release_id: str) -> dict[str, bytes]:
        """The files of a release as they lie on disk."""
        root = self.folder / release_id
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@contextmanager
def running_shelf(root: Path, *, noise_bytes: int = 3_000_001, **limits: float) -> Iterator[Shelf]:
    """Releases `sky` (open to all, archived) and `future` (for rights holders) with raw files beside their tables."""
    folder = root / "releases"
    today = datetime.now(tz=UTC).date()
    make_release(folder, release_id="sky", rows=2_000, partition_rows=500)
    make_release(folder, release_id="future", rows=100, audience=Audience.HOLDERS, release_date=today)
    noise = os.urandom(noise_bytes)
    for release_id, path, content in (
        ("sky", NOISE, noise), ("sky", ODD, b"odd"), ("sky", EMPTY, b""), ("future", SECRET, b"secret" * 99),
    ):  # fmt: skip
        (folder / release_id / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / release_id / path).write_bytes(content)
    with ExitStack() as stack:
        hub = stack.enter_context(running_hub())
        know_people(hub)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        abandon_stalled(listener, timeout_s=limits.get("stall_timeout_s", 60))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        identity = IdentitySettings(hub_url=hub.url, cache_s=0, api_token=hub.client_secret)
        settings = Settings(
            home=root,
            public_url=url,
            identity=identity,
            queries=QuerySettings(workers=1),
            downloads=DownloadSettings(**limits),
        )
        services = wiring.build(settings)
        policy = RightsPolicy(settings.rights.holder_groups)
        services = replace(services, releases=FileShelf(FolderReleaseStore(folder), policy, folder))
        stack.enter_context(serving(create_app(services), listener))
        client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=30))
        yield Shelf(url, client, folder, noise)


def slow_reader(url: str, path: str) -> socket.socket:
    """A connection that has asked for a file and read only the head of the answer."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(30)
    reader.connect((urlsplit(url).hostname, urlsplit(url).port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reader.recv(15) == b"HTTP/1.1 200 OK"
    return reader


class FileShelf(ReleaseService):
    """Answers for the files that lie in the folder, with `sky` archived and a collection of raw files."""

    def __init__(self, store: FolderReleaseStore, policy: RightsPolicy, folder: Path) -> None:
        super().__init__(store, policy)
        self._folder = folder

    def visible(self, principal: Principal, access: Access = Access.METADATA) -> tuple[Release, ...]:
        raw = FileCollection(id="raw", kind=FileKind.RAW, title="Noise")
        archived = {"lifecycle": Lifecycle.ARCHIVED, "tier": Tier.MASS}
        return tuple(
            replace(each, files=(raw,), **(archived if each.id == "sky" else {}))
            for each in super().visible(principal, access)
        )

    def manifest(self, principal: Principal, release_id: str) -> Iterator[StoredFile]:
        root = self._root(principal, release_id)
        for path in sorted(each for each in root.rglob("*") if each.is_file()):
            yield _stored(path.relative_to(root).as_posix(), path)

    def file(self, principal: Principal, release_id: str, path: str) -> tuple[StoredFile, Path]:
        place = self._root(principal, release_id) / path
        if ".." in path or not place.is_file():
            raise NotFoundError(f"Release '{release_id}' has no file '{path}'.")
        return _stored(path, place), place

    def _root(self, principal: Principal, release_id: str) -> Path:
        if release_id not in {each.id for each in self.visible(principal, Access.FILE)}:
            raise NotFoundError(f"There is no release '{release_id}'.")
        return self._folder / release_id


def _stored(path: str, place: Path) -> StoredFile:
    return StoredFile(path=path, size_bytes=place.stat().st_size, sha256=_sha256(place, place.stat().st_mtime_ns))


@cache
def _sha256(place: Path, changed_at_ns: int) -> str:
    del changed_at_ns
    return hashlib.sha256(place.read_bytes()).hexdigest()
