"""The Web APIs over the little history, twice: with all releases, and with those alone that somebody may see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
from pachon.core.errors import AuthenticationError, NotFoundError
from pachon.identity.models import Principal, Scope
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.models import Release

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
    """A release store of which some releases are taken away, as if they did not exist."""

    def __init__(self, store: FolderReleaseStore) -> None:
        self._store = store
        self.ids: frozenset[str] | None = None

    def releases(self) -> tuple[Release, ...]:
        return tuple(release for release in self._store.releases() if self._is_here(release.id))

    def __getattr__(self, name: str) -> Callable[..., object]:
        """Any other method of a store: its first argument is the id of a release, or begins with it."""
        method = getattr(self._store, name)

        def call(thing: str, *given: object, **named: object) -> object:
            if not self._is_here(thing.partition(".")[0]):
                raise NotFoundError(f"There is no '{thing}'.")
            return method(thing, *given, **named)

        return call

    def _is_here(self, release_id: str) -> bool:
        return self.ids is None or release_id in self.ids


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
        queries=QuerySettings(workers=1, max_rows=1000),
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
