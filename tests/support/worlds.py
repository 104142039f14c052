"""The Web APIs over the little history, twice: with all releases, and with those alone that somebody may see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from fastapi import FastAPI

from pachon.app import wiring
from pachon.app.settings import DataSettings, IdentitySettings, QuerySettings, Settings
from pachon.app.web import create_app
from pachon.app.wiring import Services
from pachon.core.errors import AuthenticationError
from pachon.identity.models import Principal, Scope
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.models import Release, Snapshot, StoredFile, Table
from pachon.releases.storage import no_file

BASE_URL = "http://pachon.example"


@dataclass
class HeldMoment:
    """A clock that stands."""

    at: datetime = datetime(2026, 11, 25, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@dataclass
class People:
    """Whose a token is, as a hub would tell; tokens are names."""

    known: dict[str, Principal] = field(default_factory=dict)

    def know(self, name: str, *, groups: Iterable[str] = (), scopes: Iterable[str] = (Scope.QUERY,)) -> None:
        self.known[name] = Principal(name, frozenset(groups), frozenset(scopes))

    async def resolve(self, token: str) -> Principal:
        if token not in self.known:
            raise AuthenticationError("The token is not valid (any more); make a new one on the hub's Token page.")
        return self.known[token]

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        del code, verifier, redirect_uri
        raise AuthenticationError("The hub did not accept this login.")

    async def is_up(self) -> bool:
        return True

    async def aclose(self) -> None:
        """Nothing is open."""


class Shown:
    """A release store of which some releases, or the images with an embargo, are taken away, as if there were none."""

    def __init__(self, store: FolderReleaseStore) -> None:
        self._store = store
        self.ids: frozenset[str] | None = None
        self.has_embargoed = True

    def releases(self) -> tuple[Release, ...]:
        return tuple(self._told(each) for each in self._store.releases() if self.ids is None or each.id in self.ids)

    def snapshot(self, release: Release, table: Table, *, as_of: datetime | None = None) -> Snapshot:
        return self._store.snapshot(self._here(release), table, as_of=as_of)

    def folder(self, release: Release) -> Path:
        return self._store.folder(self._here(release))

    def manifest(self, release: Release, *, under: str = "") -> tuple[StoredFile, ...]:
        listed = self._store.manifest(self._here(release), under=under)
        return tuple(file for file in listed if self.has_embargoed or file.taken_at is None)

    def file(self, release: Release, path: str) -> tuple[StoredFile, Path]:
        found = self._store.file(self._here(release), path)
        if not self.has_embargoed and found[0].taken_at is not None:
            raise no_file(release.id, path)
        return found

    def _here(self, release: Release) -> Release:
        if self.ids is not None and release.id not in self.ids:
            raise AssertionError(release.id)
        return release

    def _told(self, release: Release) -> Release:
        hushed = [each for each in release.images if each.embargo_hours and not self.has_embargoed]
        emptied = tuple(
            replace(each, file_count=0, size_bytes=0) if each in hushed else each for each in release.images
        )
        size_bytes = release.size_bytes - sum(each.size_bytes for each in hushed)
        return replace(release, images=emptied, size_bytes=size_bytes) if hushed else release


@dataclass
class World:
    """One installation, called in this process."""

    app: FastAPI
    services: Services
    store: Shown


@contextmanager
def world(home: Path, root: Path, people: People, now: HeldMoment) -> Iterator[World]:
    """An installation over the releases and archived releases in `root`, with a hub that knows these people."""
    settings = Settings(
        home=home,
        public_url=BASE_URL,
        data=DataSettings(path=root / "releases", mass_path=root / "mass"),
        identity=IdentitySettings(cookie_secret="c" * 64),
        queries=QuerySettings(short={"workers": 1, "threads": 1}, max_rows=1000),
    )
    stores: list[Shown] = []

    def open_store(*given: object, **named: object) -> Shown:
        stores.append(Shown(FolderReleaseStore(*given, **named)))
        return stores[-1]

    with mock.patch.object(wiring, "FolderReleaseStore", open_store):
        services = wiring.build(settings, now=now)
    services = replace(services, principals=people)
    try:
        yield World(create_app(services), services, stores[0])
    finally:
        services.runner.close()
        services.engine.close()
        services.database.dispose()
