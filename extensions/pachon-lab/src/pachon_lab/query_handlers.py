"""Addresses below `<lab>/pachon/queries`: the platform's saved queries, asked with the token of the lab."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from pachon_lab.cells import adql_of, options_of
from pachon_lab.errors import LabError
from pachon_lab.notebooks import NotebookShelf
from pachon_lab.queries import QueryService, Tie
from pachon_lab.rendering import DEFAULT, Templates
from pachon_lab.web_api import WebApi

_KINDS = frozenset({"execution", "job"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the handlers need."""

    api: WebApi
    queries: QueryService
    templates: Templates
    shelf: NotebookShelf


class _QueryHandler(APIHandler):
    def initialize(self, *, parts: Parts) -> None:
        """Take what was made when the lab started."""
        self._parts = parts

    async def _tell(self, answer: Callable[[], Awaitable[object]]) -> None:
        """Answer a document, or the sentence that says what went wrong."""
        try:
            document = await answer()
        except LabError as error:
            self.set_status(error.status)
            document = {"message": str(error)}
        await self.finish(json.dumps(document))

    def _given(self) -> dict[str, Any]:
        """The body: an object of JSON."""
        return self.get_json_body() or {}


class PanelHandler(_QueryHandler):
    """What the panel shows, and new queries."""

    _track_activity = False  # the panel asks by itself: that is no sign of a person

    @web.authenticated
    async def get(self) -> None:
        """Answer `{running, mine, shared, runs, templates}`; `text` has words to search for."""
        await self._tell(self._panel)

    async def _panel(self) -> dict[str, Any]:
        shown = await self._parts.queries.panel(self.get_query_argument("text", ""))
        return {**shown, "templates": self._parts.templates.names()}

    @web.authenticated
    async def post(self) -> None:
        """Take `{cell, name, tie}` or `{execution}` or `{job}`, and answer the query made of it."""
        given = self._given()
        await self._tell(lambda: self._made(given))

    async def _made(self, given: dict[str, Any]) -> object:
        kind = next((kind for kind in _KINDS if kind in given), None)
        if kind is not None:
            return await self._parts.queries.keep(kind, str(given[kind]))
        cell = str(given.get("cell", ""))
        adql, options = adql_of(cell), options_of(cell)
        named = replace(options, name=options.name or str(given.get("name", "")))
        tie = _tie(given) or await self._parts.queries.of_name(options.name)
        return await self._parts.queries.send(await self._parts.queries.qualified(adql, options.release), named, tie)


class QueryHandler(_QueryHandler):
    """One query."""

    @web.authenticated
    async def get(self, query_id: str) -> None:
        """Answer the query, with `snippets`."""
        await self._tell(lambda: self._parts.queries.get(query_id))


class RunHandler(_QueryHandler):
    """Runs of a query."""

    @web.authenticated
    async def post(self, query_id: str) -> None:
        """Run the newest version, and answer the query."""
        await self._tell(lambda: self._parts.queries.run(query_id))


class NotebookHandler(_QueryHandler):
    """Notebooks of a query."""

    @web.authenticated
    async def post(self, query_id: str) -> None:
        """Take `{template, link, fresh}`, all optional, and answer `{path, is_new}` of the notebook."""
        given = self._given()
        await self._tell(lambda: self._laid(query_id, given))

    async def _laid(self, query_id: str, given: dict[str, Any]) -> dict[str, Any]:
        query = await self._parts.queries.get(query_id, str(given.get("link", "")))
        notebook = self._parts.templates.render(str(given.get("template") or DEFAULT), query)
        path, is_new = await self._parts.shelf.lay(
            self.contents_manager, notebook, name=query["current"]["name"], is_fresh=bool(given.get("fresh"))
        )
        return {"path": path, "is_new": is_new}


class CancelHandler(_QueryHandler):
    """Jobs under way."""

    @web.authenticated
    async def post(self, job_id: str) -> None:
        """Abort the job."""
        await self._tell(lambda: self._cancelled(job_id))

    async def _cancelled(self, job_id: str) -> dict[str, Any]:
        await self._parts.queries.cancel(job_id)
        return {}


class EventsHandler(_QueryHandler):
    """The platform's events for this person, as they happen (WHATWG HTML, section 9.2)."""

    _track_activity = False
    _relay: asyncio.Task[None] | None = None

    @web.authenticated
    async def get(self) -> None:
        """Pass on every byte until the browser or the platform ends."""
        self._relay = asyncio.ensure_future(self._pass_on())
        with suppress(asyncio.CancelledError):
            await self._relay

    def on_connection_close(self) -> None:
        """Leave the platform's stream when the browser has gone."""
        super().on_connection_close()
        if self._relay is not None:
            self._relay.cancel()

    def get_content_type(self) -> str:
        """What `finish` would else replace by the type of JSON."""
        return "text/event-stream"

    async def _pass_on(self) -> None:
        seen = self.request.headers.get("Last-Event-ID")
        try:
            async with self._parts.api.stream("queries/events", {"Last-Event-ID": seen} if seen else {}) as pieces:
                self.set_header("Content-Type", "text/event-stream")
                self.set_header("Cache-Control", "no-store")
                self.set_header("X-Accel-Buffering", "no")
                async for piece in pieces:
                    self.write(piece)
                    await self.flush()
        except LabError as error:
            self.set_status(error.status)
            self.write(json.dumps({"message": str(error)}))
        except (httpx.HTTPError, StreamClosedError):
            return  # one of the two has gone: the browser asks again


def _tie(given: dict[str, Any]) -> Tie | None:
    tie = given.get("tie")
    try:
        return Tie(query_id=str(tie["query_id"]), version=int(tie["version"])) if tie else None
    except (LookupError, TypeError, ValueError):
        return None  # a person changed the metadata: the cell is new
