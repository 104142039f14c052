"""VO protocols over FastAPI: parameters in, rows out as a stream, errors as the protocol's own documents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
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
from pachon.vo.dali import Parameters
from pachon.vo.errors import Failure
from pachon.vo.formats import Format
from pachon.vo.models import Heading, Rows

_log = logging.getLogger(__name__)


class ClosableRows(Rows, Protocol):
    """Rows of which reading can be given up, from any thread."""

    def close(self) -> None:
        """Stop reading. Safe to call more than once, also while a batch is being waited for."""
        ...


async def parameters(request: Request) -> Parameters:
    """The parameters of a GET, or of a POST with a form (both encodings); what is in the address counts as well.

    Raises
    ------
    UsageError
        If the form cannot be read.
    """
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        try:
            form = await request.form()
        except HTTPException as error:
            raise UsageError(f"The form of this POST cannot be read: {error.detail}") from error
        pairs += [(name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile)]
    return Parameters.from_pairs(pairs)


def request_id(request: Request) -> str:
    """The id that the application gave this request."""
    return cast("str", request.state.request_id)


class RowStream(Response):
    """Rows on their way. The first batch is waited for before anything is sent, so that early errors get a status.

    Reading ends when the client goes away; the rows are closed whatever happens.

    Parameters
    ----------
    rows
        What to send; this takes over the duty to close it.
    form
        Format of the document.
    heading
        What stands around the rows.
    file_name
        Suggested name without extension.
    headers
        Further headers.
    """

    def __init__(
        self,
        rows: ClosableRows,
        *,
        form: Format,
        heading: Heading,
        file_name: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        disposition = {"Content-Disposition": f'inline; filename="{file_name}.{form.extension}"'}
        super().__init__(headers={**disposition, **(headers or {})}, media_type=form.media_type)
        del self.headers["content-length"]
        self._rows = rows
        self._guarded = _GuardedRows(rows)
        self._chunks = form.write(self._guarded, heading)

    async def prepare(self, request: Request) -> None:
        """Wait for the first batch; its errors are raised here, and the rows are closed then."""
        self._guarded.request_id = request_id(request)
        try:
            await self._unless_client_leaves(request.receive, partial(run_sync, self._guarded.fetch_first))
        except BaseException:
            await self._close()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document."""
        del scope
        try:
            await self._unless_client_leaves(receive, partial(self._send_all, send))
        finally:
            await self._close()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while (chunk := await run_sync(next, self._chunks, None)) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _unless_client_leaves(self, receive: Receive, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Do the work; if the client goes away meanwhile, close the rows (which frees the worker) and stop."""
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                await self._close()
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- raised again outside, where no group of errors wraps it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await run_sync(self._rows.close)


class _GuardedRows:
    """Rows whose first batch can be fetched early, and whose faults are logged and told without their inside."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._first: pa.RecordBatch | None = None
        self.request_id = ""

    @property
    def fields(self) -> tuple[Field, ...]:
        return self._rows.fields

    @property
    def overflow(self) -> bool:
        return self._rows.overflow

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        if self._first is None:
            return
        yield self._first
        self._first = None
        try:
            yield from self._rows.batches
        except PachonError:
            raise
        except Exception as error:
            _log.exception("request %s failed while its rows were read", self.request_id)
            raise errors.fault(self.request_id) from error

    def fetch_first(self) -> None:
        """Wait for the first batch."""
        self._first = next(self._rows.batches, None)


class _ProtocolRoute(APIRoute):
    """The one place where a request of a VO protocol fails."""

    @staticmethod
    def failure(error: PachonError, request: Request) -> Failure:
        """The protocol's own document of an error."""
        raise NotImplementedError

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


class VORoute(_ProtocolRoute):
    """A route whose errors are VOTables with QUERY_STATUS=ERROR."""

    @staticmethod
    def failure(error: PachonError, request: Request) -> Failure:
        """As `errors.vo_failure`."""
        return errors.vo_failure(error, challenges=request.app.state.challenges)


class SCSRoute(_ProtocolRoute):
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
