"""One session of the Portal without a browser: a real document and its lock, the page, and a platform in memory."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
from bokeh.document import Document
from bokeh.events import ButtonClick
from bokeh.server.contexts import BokehSessionContext
from bokeh.server.session import ServerSession
from panel.io.state import set_curdoc
from tornado.ioloop import IOLoop

from pachon.portal.ask_view import AskView
from pachon.portal.compute import MAP_QUERY_MARK
from pachon.portal.downloads import Downloads
from pachon.portal.hearing import Hearing
from pachon.portal.pages import PortalPage
from pachon.portal.state import Person, Pools, TileCache
from pachon_client import (
    Change,
    Column,
    Execution,
    NotFoundError,
    Query,
    Release,
    Result,
    Running,
    StaleError,
    Table,
    UnreachableError,
)
from pachon_client.finding import new_query, open_query

COLUMNS = (
    Column(name="id", ucd="meta.id;meta.main"),
    Column(name="ra", unit="deg", ucd="pos.eq.ra;meta.main"),
    Column(name="dec", unit="deg", ucd="pos.eq.dec;meta.main"),
    Column(name="g_mag", unit="mag", ucd="phot.mag;em.opt.B"),
    Column(name="r_mag", unit="mag", ucd="phot.mag;em.opt.R"),
)
STARS = Table(
    name="sky.stars", row_count=10**6, has_position=True, id_column="id", ra_column="ra", dec_column="dec",
    columns=COLUMNS,
)  # fmt: skip
SKY = Release(id="sky", title="Sky", tables=(STARS,))


def stars(rows: int) -> Result:
    """Invented stars around RA 56.75, Dec 24.12."""
    random = np.random.default_rng(4)
    table = pa.table(
        {
            "id": np.arange(rows),
            "ra": random.normal(56.75, 0.5, rows),
            "dec": random.normal(24.12, 0.5, rows),
            "g_mag": random.normal(12, 1, rows),
            "r_mag": random.normal(11, 1, rows),
        }
    )
    return Result(table=table, columns=COLUMNS)


@dataclass
class MemorySource:
    """A platform that answers at once, or with `trouble`, or (`wait`) not before the connection is closed."""

    rows: int = 100
    trouble: Exception | None = None
    wait: bool = False
    asked: list[str] = field(default_factory=list)
    tiles: set[tuple[int, int]] = field(default_factory=set)
    opened: list[Connection] = field(default_factory=list)
    running: int = 0
    under_way: tuple[Running, ...] = ()
    listeners: list[SimpleQueue[Change | None]] = field(default_factory=list)
    saved: MemoryQueries = field(default_factory=lambda: MemoryQueries())  # noqa: PLW0108 -- defined below

    def open(self, _token: str) -> Connection:
        """One more connection."""
        self.opened.append(Connection(self))
        return self.opened[-1]

    def tell(self, kind: str, **payload: str) -> None:
        """Something changed: all who listen hear of it."""
        for heard in self.listeners:
            heard.put(Change(kind=kind, payload=payload))


@dataclass
class MemoryQueries:
    """Saved queries as the Web APIs tell of them, one version each; rows are never kept with them."""

    access: str = "owner"
    reason: str | None = "The rows were not kept."
    row_count: int | None = 100
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    shares: list[dict[str, Any]] = field(default_factory=list)

    def request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> SimpleNamespace:
        """What `pachon_client` asks for."""
        query_id = path.split("/")[1] if "/" in path else f"{len(self.documents):026d}"
        known = self.documents.get(query_id)
        if known is None and method != "POST":
            raise NotFoundError(f"There is no query '{query_id}'.")
        if method == "PATCH" and body["conflict"] == "refuse" and headers["If-Match"] != self._etag(known):
            raise StaleError("Somebody else changed this query.")
        leaf = path.split("/")[2:]
        if leaf:
            return SimpleNamespace(content=json.dumps(self._part(known, leaf, body)), headers={}, url=path)
        if method in {"POST", "PATCH"} and body:
            self.documents[query_id] = self._document(query_id, known, body)
        document = self.documents[query_id]
        return SimpleNamespace(content=json.dumps(document), headers={"ETag": self._etag(document)}, url=path)

    def _part(self, known: dict[str, Any], leaf: list[str], body: Any) -> dict[str, Any]:
        if leaf[0] == "shares" and body:
            share = {"id": str(len(self.shares)), **body, "address": "http://localhost/portal/?q=1&link=<t>"}
            self.shares.append(share)
            return share
        if leaf[0] == "shares":
            return {"shares": self.shares}
        if leaf[0] == "versions" and leaf[-1] == "restore":
            known["current"] |= {"number": known["current"]["number"] + 1, "name": "restored"}
            return known
        old = {"number": 1, "name": "first", "author": "ada", "created_at": "2026-11-25T10:00:00+00:00"}
        return {"versions": [known["current"], old], "next_before": None}

    @staticmethod
    def _etag(document: dict[str, Any]) -> str:
        return str(document["current"]["number"])

    def _document(self, query_id: str, known: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any]:
        old = known["current"] if known else {"number": 0, "name": "", "notes": "", "tags": [], "author": "novice"}
        run = {"phase": "COMPLETED", "row_count": self.row_count}
        result = {"available": False, "reason": self.reason}
        current = {**old, "form": None, "view": None, "max_rows": None} | given
        current |= {"number": old["number"] + 1, "run": run, "result": result}
        links = {"portal": f"http://localhost/portal/?q={query_id}", "lab": "http://localhost/lab"}
        about = {"id": query_id, "owner": "novice", "access": self.access, "state": "COMPLETED", "links": links}
        return {**about, "current": current}


@dataclass
class Connection:
    """Keeps what `Source` promises, for one platform in memory."""

    platform: MemorySource
    closed: threading.Event = field(default_factory=threading.Event)
    heard: SimpleQueue[Change | None] = field(default_factory=SimpleQueue)

    def query(self, adql: str, max_rows: int | None = None) -> Result:
        """Invented stars, whatever is asked."""
        del max_rows
        self.platform.asked.append(adql)
        self.platform.running += 1
        try:
            if self.platform.wait:
                self.closed.wait(20)
                raise UnreachableError(adql)
            self._fail()
            return stars(self.platform.rows)
        finally:
            self.platform.running -= 1

    def releases(self) -> tuple[Release, ...]:
        """One release with one table."""
        self._fail()
        return (SKY,)

    def executions(self, limit: int) -> tuple[Execution, ...]:
        """What was asked so far, newest first."""
        asked = reversed(self.platform.asked[-limit:])
        return tuple(Execution(id=adql, query=adql, protocol="tap/sync", phase="ABORTED") for adql in asked)

    def running(self) -> tuple[Running, ...]:
        """What runs of the person."""
        return self.platform.under_way

    def changes(self, address: str = "", *, after: str = "") -> Iterator[Change]:
        """What is told, until the connection is closed."""
        del address, after
        self.platform.listeners.append(self.heard)
        yield from iter(self.heard.get, None)

    def ask(self, adql: str, name: str = "", **more: Any) -> Query:
        """A saved query."""
        return new_query(self.platform.saved, {"adql": adql, "name": name, **more})

    def open(self, query: str) -> Query:
        """That query again."""
        return open_query(self.platform.saved, query)

    def tile(self, table: str, order: int, pixel: int) -> np.ndarray[Any, Any]:
        """A hundred rows everywhere."""
        del table
        self._fail()
        self.platform.tiles.add((order, pixel))
        return np.full(4**8, 100, dtype=np.uint8)

    def close(self) -> None:
        """End what waits."""
        self.closed.set()
        self.heard.put(None)

    def _fail(self) -> None:
        if self.platform.trouble is not None:
            raise self.platform.trouble


@dataclass
class Session:
    """A page that lives, as a person meets it."""

    page: PortalPage
    document: Document
    source: MemorySource
    pools: Pools

    @property
    def ask(self) -> AskView:
        """The forms."""
        return self.page.ask

    @property
    def queries(self) -> list[str]:
        """What the person asked, without what the map looks up."""
        return [adql for adql in self.source.asked if not adql.startswith(MAP_QUERY_MARK)]

    async def press(self, button: Any) -> None:
        """Press a button while a typed value is on its way: Panel then calls its handler without the lock."""
        with set_curdoc(self.document):
            await button._event_coroutine(self.document, ButtonClick(model=None))

    async def until(self, holds: Callable[[], object], *, timeout_s: float = 10.0) -> None:
        """Let the session live until something holds."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, f"status: {self.status!r}, note: {self.note!r}"
            await asyncio.sleep(0.01)

    @property
    def note(self) -> str:
        """What stands on the map."""
        return self.page._note.object

    @property
    def status(self) -> str:
        """What stands beside the button."""
        return self.page.ask.status.object


@asynccontextmanager
async def session(
    source: MemorySource, *, offered: Downloads | None = None, wanted: str = ""
) -> AsyncIterator[Session]:
    """A session whose page has loaded; it is closed at the end. `offered` are results shared with other sessions."""
    document = Document()
    context = BokehSessionContext("session", SimpleNamespace(application_context=None), document)
    context._request = SimpleNamespace(arguments={}, headers={}, cookies={})
    document._session_context = lambda: context
    pools = Pools(*(ThreadPoolExecutor(4) for _ in range(4)))
    try:
        with set_curdoc(document):
            page = PortalPage(
                Person("novice", "token"), source.open,
                cache=TileCache(), pools=pools, offered=Downloads() if offered is None else offered,
                hearing=Hearing(source.open), base_url="http://localhost", document=document, wanted=wanted,
            )  # fmt: skip
            page.template()._init_doc(document)
        living = ServerSession("session", document, io_loop=IOLoop.current())
        context._set_session(living)
        page.start()
        yield Session(page, document, source, pools)
        page.close()
    finally:
        for pool in (pools.drawing, pools.asking, pools.collecting, pools.fetching):
            pool.shutdown(wait=True)
