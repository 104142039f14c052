"""What every request passes: its id, HEAD, a bound on its body, compression of documents, the last word on errors."""

from __future__ import annotations

import logging
import re

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pachon.core.errors import LimitError, NotFoundError, PachonError, UsageError
from pachon.core.ids import new_id
from pachon.vo import errors
from pachon.vo.http import to_response

_log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
_STREAMS = re.compile(r"/api/(tap/sync|tap/async/|scs/|tiles/|releases/[^/]+/files|queries/[^/]+/result$)")
_UPLOADS = re.compile(r"/api/tap/(sync|async|async/[^/]+/parameters)")
_SMALLEST_BYTES = 1024
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NOT_FOUND, _METHOD_NOT_ALLOWED, _TOO_LARGE = 404, 405, 413


class RequestIds:
    """Gives each request an id, sends it back as `X-Request-ID`, and answers for faults nobody else caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = new_id()
        has_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if has_started:
                raise
            await _explain(errors.fault(request_id), Request(scope))(scope, receive, send_with_id)


class HeadAsGet:
    """Answers HEAD with the headers of GET, and gives up the body as soon as they are out (RFC 9110, section 9.3.2).

    `Range` is left aside, since it has a meaning for GET only (section 14.2). `request.state.is_head` tells a handler
    that it need not make the body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["is_head"] = scope["method"] == "HEAD"
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"range"]
        is_over = False

        async def receive_until_over() -> Message:
            return {"type": "http.disconnect"} if is_over else await receive()

        async def send_headers(message: Message) -> None:
            nonlocal is_over
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_over:
                is_over = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET", "headers": headers}, receive_until_over, send_headers)


class BodyLimit:
    """Refuses bodies over a limit, by their stated length or as they come.

    Parameters
    ----------
    app
        The application behind.
    max_bytes
        The largest body.
    max_upload_bytes
        The largest body that brings files along.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        brings_files = headers.get("content-type", "").lower().startswith("multipart/") and _UPLOADS.fullmatch(
            scope["path"]
        )
        max_bytes = self._max_upload_bytes if brings_files else self._max_bytes
        stated = headers.get("content-length", "0")
        if stated.isdecimal() and int(stated) > max_bytes:
            await self._refuse(scope, receive, send, max_bytes)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self._app(scope, receive_counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, max_bytes: int) -> None:
        response = _explain(_too_large(max_bytes), Request(scope))
        response.status_code = _TOO_LARGE
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def _too_large(max_bytes: int) -> LimitError:
    return LimitError(f"The body of a request may have at most {max_bytes} bytes.")


class CompressDocuments:
    """gzip for pages and documents; rows flow as they are, because compressing them costs more than it saves nearby."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, minimum_size=_SMALLEST_BYTES, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        is_stream = scope["type"] == "http" and _STREAMS.match(scope["path"]) is not None
        await (self._app if is_stream else self._compressed)(scope, receive, send)


async def explain_expected(request: Request, error: Exception) -> Response:
    """A `PachonError` that no route has explained."""
    if not isinstance(error, PachonError):
        raise error
    return _explain(error, request)


async def explain_validation(request: Request, error: Exception) -> Response:
    """A parameter that FastAPI refused."""
    if not isinstance(error, RequestValidationError):
        raise error
    complaint = error.errors()[0]
    name = str(complaint["loc"][-1])
    return _explain(UsageError(f"{name}: {complaint['msg']}.", parameter=name), request)


async def explain_http(request: Request, error: Exception) -> Response:
    """An unknown address or a wrong method."""
    if not isinstance(error, HTTPException):
        raise error
    told: PachonError = UsageError(str(error.detail))
    if error.status_code == _NOT_FOUND:
        told = NotFoundError(f"There is nothing at {request.url.path}; /api/docs lists what there is.")
    elif error.status_code == _METHOD_NOT_ALLOWED:
        told = UsageError(f"{request.method} is not possible at {request.url.path}; /api/docs lists what is.")
    response = _explain(told, request)
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    if error.status_code == _METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """All methods of an address, whose routes may be several (RFC 9110, section 10.2.1); HEAD goes where GET does."""
    routes, scope = request.app.router.routes, request.scope
    found = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return [*found, "HEAD"] if "GET" in found else found


def _explain(error: PachonError, request: Request) -> Response:
    """An error as the protocol of its address tells it, else as JSON."""
    challenges, path = request.app.state.challenges, f"{request.url.path}/"
    if path.startswith("/api/tap/"):
        return to_response(errors.vo_failure(error, challenges=challenges))
    if path.startswith("/api/scs/"):
        agent = request.headers.get("user-agent", "")
        return to_response(errors.scs_failure(error, challenges=challenges, user_agent=agent))
    return to_response(errors.json_failure(error, challenges=challenges, request_id=request.state.request_id))
