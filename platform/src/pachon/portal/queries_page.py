"""The Portal's page of saved queries: one's own and those shared with one, found by their words.

A plain document, made on the server from what the API says to this person: it needs no script and no session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from pachon.portal.compute import query_words
from pachon.portal.dress import FOLDER
from pachon.portal.hearing import LOST
from pachon.portal.history_view import distinct_queries, progress
from pachon.portal.login import notice
from pachon.portal.releases_page import AWAY
from pachon_client import AuthenticationError, PachonClientError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from bokeh.server.auth_provider import AuthProvider

    from pachon.portal.hearing import Hearing
    from pachon.portal.pages import OpenSource
    from pachon.portal.state import Person
    from pachon_client import Change, Execution, QuerySummary, Running

_LOGGER = logging.getLogger(__name__)
_SHOWN = 100
_LONGEST_TEXT = 200
_LISTED_RUNS, _SHOWN_RUNS = 200, 20
_HEARTBEAT_S = 15.0
WHOSE = {"all": "All", "mine": "Mine", "shared": "Shared with me"}
STATES = {
    "": "any",
    "DRAFT": "never run",
    "EXECUTING": "running",
    "COMPLETED": "completed",
    "ERROR": "failed",
    "ABORTED": "given up",
}


class QueriesPage(RequestHandler):
    """`/portal/queries?text=&whose=&state=` lists saved queries."""

    def initialize(self, logins: AuthProvider, open_source: OpenSource, pool: Executor, root: str) -> None:
        """Take what the server gives."""
        self._logins, self._open_source, self._pool, self._root = logins, open_source, pool, root

    async def get(self) -> None:
        """Show the list to those whom the hub lets in."""
        self.set_header("Cache-Control", "no-store")
        if await self._logins.get_user_async(self) is None:
            self.redirect(f"{self._root}/portal/login?next={quote(self.request.uri or '', safe='')}")
            return
        wanted = {
            "text": self.get_query_argument("text", "")[:_LONGEST_TEXT].strip(),
            "whose": self.get_query_argument("whose", "all"),
            "state": self.get_query_argument("state", ""),
        }
        wanted |= {"whose": "all"} if wanted["whose"] not in WHOSE else {}
        wanted |= {"state": ""} if wanted["state"] not in STATES else {}
        person: Person = vars(self.request)["person"]
        try:
            listed = await asyncio.get_running_loop().run_in_executor(self._pool, self._listed, person, wanted)
        except AuthenticationError:
            self._refuse(HTTPStatus.UNAUTHORIZED, "Your login has ended", "Load the page again to log in.")
        except PachonClientError as error:
            _LOGGER.info("The saved queries could not be had: %s", error)
            self.set_header("Retry-After", "5")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "One moment, please", AWAY)
        else:
            token = self.xsrf_token.decode()
            _ = self.finish(queries_html(listed, wanted, root=self._root, person=person.name, token=token))

    def _listed(self, person: Person, wanted: Mapping[str, str]) -> Listed:
        with closing(self._open_source(person.token)) as source:
            conditions = {"whose": wanted["whose"]} | ({"state": wanted["state"]} if wanted["state"] else {})
            found = source.queries(wanted["text"], limit=_SHOWN + 1, **conditions)
            is_whole = not wanted["text"] and not wanted["state"] and wanted["whose"] != "shared"
            running, runs = (source.running(), source.executions(_LISTED_RUNS)) if is_whole else ((), ())
        return Listed(found, running, runs)

    def _refuse(self, status: HTTPStatus, title: str, text: str) -> None:
        self.set_status(status)
        _ = self.finish(notice(title, text, root=self._root))


class QueryNews(RequestHandler):
    """`/portal/queries/events` tells an open list when to read itself again (WHATWG HTML, section 9.2)."""

    def initialize(self, logins: AuthProvider, hearing: Hearing) -> None:
        """Take what the server gives."""
        self._logins, self._hearing = logins, hearing
        self._heard: asyncio.Queue[Change | None] = asyncio.Queue()

    async def get(self) -> None:
        """Send an event without content for each change that the person may see, until one of both goes away."""
        if await self._logins.get_user_async(self) is None:
            self.set_status(HTTPStatus.FORBIDDEN)
            return
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        loop = asyncio.get_running_loop()

        def tell(change: Change) -> None:
            loop.call_soon_threadsafe(self._heard.put_nowait, change)

        leave = self._hearing.subscribe(vars(self.request)["person"], tell)
        try:
            await self._pass_on()
        except StreamClosedError:
            return  # the browser has gone
        finally:
            leave()

    def on_connection_close(self) -> None:
        """The browser has gone."""
        super().on_connection_close()
        self._heard.put_nowait(None)

    async def _pass_on(self) -> None:
        self.write(": connected\n\n")
        await self.flush()
        while True:
            try:
                change = await asyncio.wait_for(self._heard.get(), _HEARTBEAT_S)
            except TimeoutError:
                self.write(": still here\n\n")
            else:
                if change is None or change is LOST:
                    return
                self.write("data: changed\n\n")
            await self.flush()


@dataclass(frozen=True, slots=True)
class Listed:
    """What the page lists: saved queries, what runs or waits, and what was run by any program."""

    queries: tuple[QuerySummary, ...]
    running: tuple[Running, ...] = ()
    runs: tuple[Execution, ...] = ()


def queries_html(listed: Listed, wanted: Mapping[str, str], *, root: str, person: str, token: str = "") -> str:
    """The page for these queries; `token` lets its script ask in the person's name."""
    found = listed.queries
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"words": query_words, "progress": progress}
    words: dict[str, Any] = {
        "root": root,
        "person": person,
        "token": token,
        "wanted": wanted,
        "whose": WHOSE,
        "states": STATES,
    }
    is_asked = any((wanted["text"], wanted["state"], wanted["whose"] != "all"))
    template = environment.get_template("queries.html")
    words |= {"running": listed.running, "runs": distinct_queries(listed.runs)[:_SHOWN_RUNS]}
    return template.render(words, queries=found[:_SHOWN], has_more=len(found) > _SHOWN, is_asked=is_asked)
