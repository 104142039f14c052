"""VO protocols over FastAPI: parameters in, rows out as a stream, errors as the protocol's own documents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import anyio
import pyarrow as pa
from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from pachon.core.errors import PachonError, UsageError
from pachon.core.fields import Field
from pachon.vo import errors
from pachon.vo.dali import Parameters, shown
from pachon.vo.errors import Failure
from pachon.vo.formats import Format
from pachon.vo.models import Heading, Info, Rows, ServiceDescriptor

_log = logging.getLogger(__name__)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_THREADS = 2
"""Of one stream: one reads, one closes. How many streams there are is for the turns to say."""
_PIECE_BYTES = 1 << 16
_STALL_S = 60.0
"""A client that takes nothing for so long is gone."""


Services = Callable[[tuple[Field, ...]], tuple[ServiceDescriptor, ...]]
"""What can be asked further of rows with these fields."""


def no_services(_fields: tuple[Field, ...]) -> tuple[ServiceDescriptor, ...]:
    """Nothing."""
    return ()


class ClosableRows(Rows, Protocol):
    """Rows of a run, of which reading can be given up from any thread."""

    @property
    def execution_id(self) -> str:
        """Id of the run."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person who asks should know of the rows, a sentence each."""
        ...

    def close(self) -> None:
        """Stop reading. Safe to call more than once, also while a batch is being waited for."""
        ...


class Turn(Protocol):
    """The right to ask for rows now; `queries.admission` gives it."""

    async def begin(self) -> None:
        """Wait for it."""
        ...

    def end(self) -> None:
        """Give it back. Safe to call more than once, and before it began."""
        ...


async def parameters(request: Request) -> Parameters:
    """The parameters of a GET, or of a POST with a form (both encodings); what is in the address counts as well.

    Raises
    ------
    UsageError
        If the body is no form, or cannot be read.
    """
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        _check_form(request)
        try:
            form = await request.form()
        except HTTPException as error:
            raise UsageError(f"The form of this POST cannot be read: {error.detail}") from error
        pairs += [(name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile)]
    return Parameters.from_pairs(pairs)


def _check_form(request: Request) -> None:
    """Refuse a body of another kind, whose parameters would go unseen."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type not in _FORMS and request.headers.get("content-length") != "0":
        message = f"The body of this POST is {shown(media_type)}: send the parameters as a form, {' or '.join(_FORMS)}."
        raise UsageError(message)


def request_id(request: Request) -> str:
    """The id that the application gave this request."""
    return cast("str", request.state.request_id)


class RowStream(Response):
    """Rows on their way: asked for when it is their turn, then sent as they come.

    The first batch is waited for before anything is sent, so that early errors get a status. When the client goes away,
    be it while waiting for the turn, for the first batch or later, the rows are closed and the turn ends at once.

    Parameters
    ----------
    open_rows
        Asks for the rows; blocks. They are closed whatever happens.
    turn
        Waited for first, and ended as soon as the last row was read.
    form
        Format of the document.
    heading
        What stands around the rows; the id of the run is added.
    file_name
        Suggested name without extension.
    services
        Tells what can be asked further of a row, for formats that have room for it; may block.
    """

    def __init__(
        self,
        open_rows: Callable[[], ClosableRows],
        *,
        turn: Turn,
        form: Format,
        heading: Heading,
        file_name: str,
        services: Services = no_services,
    ) -> None:
        disposition = f'inline; filename="{file_name}.{form.extension}"'
        super().__init__(headers={"Content-Disposition": disposition}, media_type=form.media_type)
        del self.headers["content-length"]
        self._open_rows = open_rows
        self._turn = turn
        self._form = form
        self._heading = heading
        self._services = services
        self._rows: _GuardedRows | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._piece = _Piece(b"", is_last=True)
        self._watcher: asyncio.Task[None] | None = None
        self._is_given_up = False
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def prepare(self, request: Request) -> None:
        """Wait for the turn and the first batch; errors are raised here, and the rows are closed then."""
        self._watcher = asyncio.create_task(self._watch(request.receive))
        try:
            await self._unless_client_leaves(self._watcher, self._begin(request_id(request)))
        except BaseException:
            await self._close()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document."""
        del scope, receive
        try:
            if self._watcher is not None and not self._is_given_up:
                await self._unless_client_leaves(self._watcher, self._send_all(send))
        finally:
            await self._close()

    async def _begin(self, request_id: str) -> None:
        await self._turn.begin()
        await run_sync(self._fetch_first, request_id, limiter=self._threads)

    def _fetch_first(self, request_id: str) -> None:
        self._rows = rows = _GuardedRows(self._open_rows(), request_id)
        if self._is_given_up:
            rows.close()
            return
        services = self._services(rows.fields) if self._form.is_votable else ()
        told = (Info("warning", sentence) for sentence in rows.warnings)
        infos = (*self._heading.infos, Info("EXECUTION", rows.execution_id), *told)
        self._chunks = self._form.write(rows, replace(self._heading, infos=infos, services=services))
        rows.fetch_first()
        self._piece = self._next_piece(rows)

    def _next_piece(self, rows: _GuardedRows) -> _Piece:
        """The next chunk, and those after it that are at hand: each change of threads costs more than a small chunk."""
        chunks, size_bytes = [], 0
        for chunk in self._chunks:
            chunks.append(chunk)
            size_bytes += len(chunk)
            if rows.may_wait or size_bytes >= _PIECE_BYTES:
                return _Piece(b"".join(chunks), is_last=False)
        return _Piece(b"".join(chunks), is_last=True)

    async def _send_all(self, send: Send) -> None:
        rows = self._rows
        if rows is None:
            raise RuntimeError("the document is sent before its rows were asked for")
        self.headers["X-Pachon-Execution"] = rows.execution_id
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while True:
            piece = self._piece
            if rows.is_over:
                self._turn.end()
            try:
                async with asyncio.timeout(_STALL_S):
                    await send({"type": "http.response.body", "body": piece.body, "more_body": not piece.is_last})
            except TimeoutError:
                _log.info("run %s is given up: its client reads nothing any more", rows.execution_id)
                return
            if piece.is_last:
                return
            self._piece = await run_sync(self._next_piece, rows, limiter=self._threads)

    async def _watch(self, receive: Receive) -> None:
        """If the client goes away, close the rows, which frees the worker."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_given_up = True
        await self._close_rows()

    async def _unless_client_leaves(self, watcher: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
        """Do the work, or stop it when the client has gone away."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_done = task.done()
            task.cancel()
        if is_done and not self._is_given_up:
            return task.result()
        await asyncio.wait((task,))
        await self._close()
        return watcher.result() if watcher.done() else None

    async def _close(self) -> None:
        await self._close_rows()
        self._turn.end()
        if self._watcher is None:
            return
        if self._is_given_up:  # it closes the rows: when this ends, the run is recorded
            await asyncio.wait((self._watcher,))
        else:
            self._watcher.cancel()

    async def _close_rows(self) -> None:
        if self._rows is not None:
            with anyio.CancelScope(shield=True):
                await run_sync(self._rows.close, limiter=self._threads)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a document."""

    body: bytes
    is_last: bool


class _GuardedRows:
    """Rows whose first batch can be fetched early, and whose faults are logged and told without their inside."""

    def __init__(self, rows: ClosableRows, request_id: str) -> None:
        self._rows = rows
        self._first: pa.RecordBatch | None = None
        self._request_id = request_id
        self.is_over = False

    @property
    def execution_id(self) -> str:
        return self._rows.execution_id

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._rows.warnings

    @property
    def fields(self) -> tuple[Field, ...]:
        return self._rows.fields

    @property
    def overflow(self) -> bool:
        return self._rows.overflow

    @property
    def may_wait(self) -> bool:
        """Whether more than is at hand has to be waited for."""
        return self._first is None and not self.is_over

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        first, self._first = self._first, None
        if first is None:
            return
        yield first
        try:
            yield from self._rows.batches
        except PachonError:
            raise
        except Exception as error:
            _log.exception("request %s failed while its rows were read", self._request_id)
            raise errors.fault(self._request_id) from error
        finally:
            self.is_over = True

    def fetch_first(self) -> None:
        """Wait for the first batch."""
        self._first = next(self._rows.batches, None)
        self.is_over = self._first is None

    def close(self) -> None:
        """Stop reading."""
        self._rows.close()


class VORoute(APIRoute):
    """A route whose errors are VOTables with QUERY_STATUS=ERROR; the one place where a request of a protocol fails."""

    @staticmethod
    def failure(error: PachonError, request: Request) -> Failure:
        """As `errors.vo_failure`."""
        return errors.vo_failure(error, challenges=request.app.state.challenges)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with its errors rendered."""
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                response = await handle(request)
                if isinstance(response, RowStream):
                    await response.prepare(request)
            except PachonError as error:
                return to_response(self.failure(error, request))
            except RequestValidationError as error:
                return to_response(self.failure(UsageError(_first_complaint(error)), request))
            except Exception:  # noqa: BLE001 -- the edge of the process: logged, and told without its inside
                _log.exception("request %s failed", request_id(request))
                return to_response(self.failure(errors.fault(request_id(request)), request))
            return response

        return handle_or_explain


class RowRoute(VORoute):
    """A route that sends rows, but whose errors are JSON: it is of no protocol."""

    @staticmethod
    def failure(error: PachonError, request: Request) -> Failure:
        """As `errors.json_failure`."""
        challenges = request.app.state.challenges
        return errors.json_failure(error, challenges=challenges, request_id=request_id(request))


class SCSRoute(VORoute):
    """A route whose errors are VOTables with an INFO named Error."""

    @staticmethod
    def failure(error: PachonError, request: Request) -> Failure:
        """As `errors.scs_failure`."""
        agent = request.headers.get("user-agent", "")
        return errors.scs_failure(error, challenges=request.app.state.challenges, user_agent=agent)


def to_response(failure: Failure) -> Response:
    """A failure as a response."""
    response = Response(failure.body, failure.status, media_type=failure.media_type)
    for name, value in failure.headers:
        response.headers.append(name, value)
    return response


def _first_complaint(error: RequestValidationError) -> str:
    complaint = error.errors()[0]
    return f"{complaint['loc'][-1]}: {complaint['msg']}."
