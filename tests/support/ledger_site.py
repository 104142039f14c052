"""The Web APIs over a ledger alone, behind a real server, with people known by their tokens."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx

from pachon.allocation.models import AllocationLimits
from pachon.allocation.service import AllocationService, Cluster
from pachon.allocation.sql_storage import SqlLedgerStore
from pachon.app import web
from pachon.app.settings import Settings
from pachon.app.wiring import Services
from pachon.core.clock import Clock
from pachon.core.errors import AuthenticationError
from pachon.identity.models import Principal, Scope
from pachon.state.database import migrate, open_database
from support import ledgers
from support.app import serving
from support.ledgers import HUB, LIMITS

NOVICE, ADMIN, STRANGER = "token-of-novice", "token-of-admin", "token-of-stranger"
PEOPLE = {
    HUB: Principal("service:labs", frozenset(), frozenset({Scope.ALLOCATION})),
    NOVICE: Principal("novice", frozenset({"deep-team"}), frozenset({Scope.QUERY})),
    ADMIN: Principal("admin", frozenset(), frozenset({Scope.QUERY, Scope.ADMIN})),
    STRANGER: Principal("stranger", frozenset(), frozenset({Scope.QUERY})),
}


class People:
    async def resolve(self, token: str) -> Principal:
        if token not in PEOPLE:
            raise AuthenticationError("Unknown.")
        return PEOPLE[token]


@dataclass
class Ledger:
    """The running application, and what is behind it."""

    url: str
    client: httpx.Client
    service: AllocationService

    def get(self, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.get("/api/allocation", headers=headers)


@contextlib.asynccontextmanager
async def _nothing_beside(_app: object) -> AsyncIterator[None]:
    yield


@contextlib.contextmanager
def running_ledger(
    folder: Path, cluster: Cluster | None, *, limits: AllocationLimits = LIMITS, now: Clock | None = None
) -> Iterator[Ledger]:
    url = f"sqlite:///{folder / 'state.sqlite'}"
    migrate(url)
    database, clock = open_database(url), now or ledgers.Clock()
    service = AllocationService(SqlLedgerStore(database, now=clock), cluster, limits, now=clock)
    services = SimpleNamespace(settings=Settings(home=folder), allocation=service, principals=People())
    app = web.create_app(cast("Services", services))
    app.router.lifespan_context = _nothing_beside  # what runs in the background needs more than is here
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(app, listener), httpx.Client(base_url=address, trust_env=False) as client:
            yield Ledger(address, client, service)
    database.dispose()
