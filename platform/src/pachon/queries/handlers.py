"""HTTP: density tiles, and what a person ran."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import numpy as np
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope

from pachon.core import clock
from pachon.core.errors import AuthenticationError, ForbiddenError, NotFoundError, UnavailableError, UsageError
from pachon.identity.handlers import asking_principal, current_principal
from pachon.identity.models import Principal, Scope
from pachon.queries.admission import Admission, Asker, Turn
from pachon.queries.clients import client_of
from pachon.queries.dispatch import Dispatcher, Prepare, QueryTurn
from pachon.queries.jobs.storage import JOB_PHASE
from pachon.queries.listening import Listeners
from pachon.queries.models import Execution, Total
from pachon.queries.saved.service import Reader, SavedQueryService
from pachon.queries.saved.storage import QUERY_CHANGED, group_key, query_key
from pachon.queries.storage import EXECUTION_ENDED, ExecutionStore
from pachon.queries.tiles import MAX_ORDER, TileService
from pachon.state.feed import Feed
from pachon.state.outbox import Event
from pachon.vo.dali import shown

router = APIRouter(tags=["queries"])

_MAX_PAGE = 500
_MAX_DAYS = 366
_HEARTBEAT_S = 15.0
_MAX_DIGITS = 40
_TOLD = frozenset({EXECUTION_ENDED, JOB_PHASE, QUERY_CHANGED})

Asking = Annotated[Principal, Depends(asking_principal)]


def known_principal(request: Request, principal: Asking) -> Principal:
    """Who asks, if they are known.

    Raises
    ------
    AuthenticationError
        For anonymous visitors: what they ran is not kept under a name.
    """
    if principal.is_anonymous:
        said = "Your queries are listed under your name: log in, or send a token."
        raise AuthenticationError(getattr(request.state, "why_unknown", said))
    return principal


Known = Annotated[Principal, Depends(known_principal)]


async def own_turns(request: Request, principal: Asking) -> Callable[[Prepare], QueryTurn]:
    """Gives the turn of who asks to a query: it waits for it."""
    dispatcher: Dispatcher = request.app.state.services.dispatcher
    return partial(dispatcher.turn, _asker(request, principal))


Turns = Annotated[Callable[[Prepare], QueryTurn], Depends(own_turns)]


async def asking_client(request: Request) -> str:
    """The program that asks, by its own account."""
    return client_of(request.headers.get("user-agent", ""))


async def tile_turn(request: Request, principal: Asking) -> Turn:
    """The turn of who asks: their density tile waits for it, beside queries."""
    admission: Admission = request.app.state.services.tile_admission
    return admission.turn(_asker(request, principal))


def _asker(request: Request, principal: Principal) -> Asker:
    return Asker.of(principal, request.client.host if request.client else "")


async def _tiles(request: Request) -> TileService:
    tiles: TileService = request.app.state.services.tiles
    return tiles


async def _tile_threads(request: Request) -> CapacityLimiter:
    """The threads in which tiles are counted: as many as there are turns."""
    threads: CapacityLimiter = request.app.state.services.tile_threads
    return threads


async def _executions(request: Request) -> ExecutionStore:
    executions: ExecutionStore = request.app.state.services.executions
    return executions


@router.get(
    "/tiles/{table}",
    summary="Row counts in the 65,536 children of a HEALPix pixel",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "NumPy .npy, shape (65536,)"}},
)
async def tile(  # noqa: PLR0917 -- the framework passes them by keyword
    table: str,
    principal: Asking,
    tiles: Annotated[TileService, Depends(_tiles)],
    threads: Annotated[CapacityLimiter, Depends(_tile_threads)],
    turn: Annotated[Turn, Depends(tile_turn)],
    order: Annotated[str, Query(description=f"HEALPix order of the tile, 0 to {MAX_ORDER}.")] = "",
    pixel: Annotated[str, Query(description="Nested pixel number at that order.")] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    place = _whole_number("order", order), _whole_number("pixel", pixel)
    try:
        await turn.begin()
        return await run_sync(lambda: _tile(tiles, principal, table, place, known=if_none_match), limiter=threads)
    finally:
        turn.end()


def _tile(tiles: TileService, principal: Principal, table: str, place: tuple[int, int], *, known: str) -> Response:
    headers = {"ETag": tiles.etag(principal, table, *place)}
    if headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    return Response(
        _npy(tiles.counts(principal, table, *place)), headers=headers, media_type="application/octet-stream"
    )


@router.get("/queries/executions", summary="What you ran, newest first")
def executions(
    principal: Known,
    store: Annotated[ExecutionStore, Depends(_executions)],
    limit: Annotated[str, Query(description=f"At most this many, 1 to {_MAX_PAGE}.")] = "50",
    before: Annotated[
        str | None, Query(description="Only those older than this id: the `next_before` of a page.")
    ] = None,
    owner: Annotated[str, Query(description=f"Of this person instead; needs the scope `{Scope.ALL_QUERIES}`.")] = "",
) -> dict[str, Any]:
    if owner and owner != principal.name:
        _require_reader_of_all(principal)
    size = _whole_number("limit", limit)
    if not 1 <= size <= _MAX_PAGE:
        raise UsageError(f"limit must be a whole number from 1 to {_MAX_PAGE}, not {size}.", parameter="limit")
    page = store.list(owner or principal.name, limit=size, before_id=before)
    return {"executions": [_document(run) for run in page], "next_before": page[-1].id if len(page) == size else None}


@router.get("/queries/totals", summary="What all people together ran, by day, protocol, phase and class")
def totals(
    principal: Asking,
    store: Annotated[ExecutionStore, Depends(_executions)],
    days: Annotated[str, Query(description=f"The last so many days (UTC), today included, 1 to {_MAX_DAYS}.")] = "7",
) -> dict[str, Any]:
    _require_administrator(principal)
    count = _whole_number("days", days)
    if not 1 <= count <= _MAX_DAYS:
        raise UsageError(f"days must be a whole number from 1 to {_MAX_DAYS}, not {count}.", parameter="days")
    today = clock.now().date()
    found = store.totals(today - timedelta(days=count - 1), today)
    return {"totals": [_sums(total) for total in found]}


def _require_administrator(principal: Principal) -> None:
    said = "What all people together ran is told to administrators only"
    if principal.is_anonymous:
        raise AuthenticationError(f"{said}: log in as one, or send a token of one.")
    if Scope.ADMIN not in principal.scopes:
        raise ForbiddenError(f"{said}, whose credentials have the scope '{Scope.ADMIN}'.", scope=Scope.ADMIN)


def _require_reader_of_all(principal: Principal) -> None:
    if Scope.ALL_QUERIES not in principal.scopes:
        said = "What others ran is told only to those administrators whom the platform grants the scope"
        raise ForbiddenError(f"{said} '{Scope.ALL_QUERIES}'.", scope=Scope.ALL_QUERIES)


@router.get(
    "/queries/events",
    summary="What begins and ends of what you run, and changes of queries you may see, as it happens",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "Server-sent events `execution.ended`, `job.phase` and `query.changed`.",
        }
    },
)
async def events(
    principal: Asking,
    request: Request,
    last_event_id: Annotated[str, Header(description="Id of the last event seen: continues after it.")] = "",
    query: Annotated[
        str | None, Query(description="Also changes of this query, which is public or opened by `link`.")
    ] = None,
    link: Annotated[str, Query(description="Token of a link that the owner made.")] = "",
) -> StreamingResponse:
    saved: SavedQueryService = request.app.state.services.saved.queries
    if query is None:
        known_principal(request, principal)
    else:
        await asyncio.to_thread(saved.get, Reader(principal, link), query)
    feed: Feed = request.app.state.services.events
    after = await asyncio.to_thread(request.app.state.services.outbox.latest_id)
    if last_event_id:
        after = min(max(0, _whole_number("Last-Event-ID", last_event_id)), after)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    async def still_welcome() -> bool:
        return await _still_known(request, principal) and await _still_shown(saved, Reader(principal, link), query)

    events = _stream(feed, _keys(principal, query), after, still_welcome=still_welcome)
    stream = _EventStream(events, headers=headers, media_type="text/event-stream")
    stream.count(request.app.state.services.listeners, _asker(request, principal).key)
    return stream


def _keys(principal: Principal, query: str | None) -> frozenset[str]:
    """Keys of the events that somebody may see: their own, their groups', and those of a query that they look at."""
    names = [principal.name] if principal.name else []
    shown = [query_key(query)] if query is not None else []
    return frozenset([*names, *map(group_key, principal.groups), *shown])


async def _still_shown(saved: SavedQueryService, reader: Reader, query: str | None) -> bool:
    """Whether a query that somebody looks at still is open to them: a link that was taken back ends the stream."""
    if query is None:
        return True
    try:
        await asyncio.to_thread(saved.get, reader, query)
    except (NotFoundError, UnavailableError):
        return False
    return True


class _EventStream(StreamingResponse):
    """A stream that is counted as its person's as long as it is open."""

    def count(self, listeners: Listeners, name: str) -> None:
        """Take note of the stream, or refuse it."""
        listeners.arrive(name)
        self._leave = partial(listeners.leave, name)

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        """Send the events until the client goes away."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _still_known(request: Request, principal: Principal) -> bool:
    """Whether the credentials of an open stream still are what they were: a revoked token ends it."""
    services = request.app.state.services
    try:
        return await current_principal(request, services.principals, services.settings) == principal
    except (AuthenticationError, UnavailableError):
        return False


async def _stream(
    feed: Feed, keys: frozenset[str], after: int, *, still_welcome: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """Events of some keys as text (WHATWG HTML, section 9.2.6), with a comment when there is none for a while.

    Who listens is asked again every `_HEARTBEAT_S`; the stream ends when they are not welcome any more. An event that
    reaches somebody in two ways, as a person and as a member of a group, is told once.
    """
    told: tuple[str, Mapping[str, Any]] | None = None
    yield ": connected\n\n"
    asked_at = time.monotonic()
    async with aclosing(feed.follow(after, key=keys)) as followed:
        upcoming: asyncio.Task[Event] | None = None
        try:
            while True:
                upcoming = upcoming or asyncio.ensure_future(anext(followed))
                done, _ = await asyncio.wait({upcoming}, timeout=_HEARTBEAT_S)
                if time.monotonic() - asked_at >= _HEARTBEAT_S:
                    if not await still_welcome():
                        return
                    asked_at = time.monotonic()
                if not done:
                    yield ": still here\n\n"
                    continue
                event, upcoming = upcoming.result(), None
                news = event.kind, event.payload
                if event.kind in _TOLD and news != told:
                    told = news
                    yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(dict(event.payload))}\n\n"
        finally:
            if upcoming is not None:
                upcoming.cancel()
                with suppress(asyncio.CancelledError):
                    await upcoming


def _document(run: Execution) -> dict[str, Any]:
    return {
        "id": run.id,
        "protocol": run.protocol.value,
        "query": run.query,
        "tables": list(run.tables),
        "phase": run.phase.value,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat(),
        "destruction": run.destruction.isoformat(),
        "row_count": run.row_count,
        "size_bytes": run.size_bytes,
        "overflow": run.overflow,
        "time_class": run.time_class.value,
        "error": run.error,
        "client": run.client,
    }


def _sums(total: Total) -> dict[str, Any]:
    return {
        "day": total.day.isoformat(),
        "protocol": total.protocol.value,
        "phase": total.phase.value,
        "time_class": total.time_class.value,
        "runs": total.runs,
        "row_count": total.row_count,
        "size_bytes": total.size_bytes,
        "seconds": round(total.seconds, 3),
    }


def _npy(counts: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, counts, allow_pickle=False)
    return buffer.getvalue()


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text if len(text) <= _MAX_DIGITS else "")
    except ValueError:
        raise UsageError(f"{name} must be a whole number, not '{shown(text)}'.", parameter=name) from None
