"""The Web APIs over synthetic releases, behind a real server, with a stand-in for the hub."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import uvicorn
from fastapi import FastAPI

from pachon.app import wiring
from pachon.app.settings import IdentitySettings, JobSettings, QuerySettings, Settings, UploadSettings
from pachon.app.web import create_app
from pachon.app.wiring import Services
from pachon.identity.models import Scope
from pachon.rights.models import Audience
from support.hub_double import HubDouble, running_hub
from support.skies import make_release

HOLDER, VISITOR, NO_SCOPE = "token-of-novice", "token-of-visitor", "token-without-scope"
ADMIN, AUDITOR = "token-of-admin", "token-of-auditor"
AS_HOLDER, AS_VISITOR, AS_NO_SCOPE = ({"Authorization": f"Bearer {token}"} for token in (HOLDER, VISITOR, NO_SCOPE))
AS_ADMIN, AS_AUDITOR = ({"Authorization": f"Bearer {token}"} for token in (ADMIN, AUDITOR))
DEFAULT_ROWS, MAX_ROWS = 10_000, 15_000
_GRACE_S = 1


@dataclass(frozen=True)
class Site:
    """A running application: `stars` are the rows of the open release `sky`, `hidden` those of `future`."""

    url: str
    client: httpx.Client
    services: Services
    hub: HubDouble
    stars: pa.Table
    hidden: pa.Table


@contextmanager
def running_site(
    root: Path,
    *,
    max_rows: int = MAX_ROWS,
    jobs: JobSettings | None = None,
    uploads: UploadSettings | None = None,
    make: bool = True,
    **queries: Any,
) -> Iterator[Site]:
    """Releases `sky` (open to all, 20,000 stars) and `future` (for rights holders, from today), and who may ask.

    With `make=False` an installation that was stopped goes on: its releases are there.
    """
    today = datetime.now(tz=UTC).date()
    closed = {"audience": Audience.HOLDERS, "release_date": today}
    with ExitStack() as stack:
        hub = stack.enter_context(running_hub())
        know_people(hub)
        stars = hidden = pa.table({})
        if make:
            stars = make_release(root / "releases", release_id="sky")
            hidden = make_release(root / "releases", release_id="future", rows=500, seed=2, **closed)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        services = wiring.build(
            Settings(
                home=root,
                public_url=url,
                identity=IdentitySettings(
                    hub_url=hub.url, cache_s=0, api_token=hub.client_secret, cookie_secret="c" * 64
                ),
                queries=QuerySettings(default_rows=DEFAULT_ROWS, max_rows=max_rows, **queries),
                jobs=jobs or JobSettings(),
                uploads=uploads or UploadSettings(),
            )
        )
        stack.enter_context(serving(create_app(services), listener))
        client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=30))
        yield Site(url, client, services, hub, stars, hidden)


def know_people(hub: HubDouble) -> None:
    """A holder, a visitor, two who may see what others ran, and a holder's token without the scope of queries."""
    hub.know(HOLDER, "novice", groups=("rights-holders",), scopes=(Scope.QUERY,))
    hub.know(VISITOR, "visitor", scopes=(Scope.QUERY,))
    hub.know(ADMIN, "admin", scopes=(Scope.QUERY, Scope.ADMIN))
    hub.know(AUDITOR, "auditor", scopes=(Scope.QUERY, Scope.ALL_QUERIES))
    hub.know(NO_SCOPE, "novice", groups=("rights-holders",))


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """The application behind a real server, in a thread of this process; at the end it waits for no open stream."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=_GRACE_S)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "The server did not end."
