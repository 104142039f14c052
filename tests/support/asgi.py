"""Asks an ASGI application directly, without sockets, and keeps every byte of what it answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

_SILENCE_S = 0.4
"""After this time without a new piece, an answer that never ends (an event stream) is given up."""
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """What is sent; `path` is decoded, `form` makes the body of a POST."""

    path: str
    query: Pairs = ()
    method: str = "GET"
    form: Pairs = ()
    headers: Pairs = ()
    body: bytes = b""

    @property
    def text(self) -> str:
        """Everything in it that a person or program wrote."""
        pairs = (*self.query, *self.form, *self.headers)
        return " ".join([self.path, *(value for _, value in pairs), self.body.decode(errors="replace")])

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict((*self.query, *self.form, *self.headers))}"


@dataclass(frozen=True)
class Answer:
    """What came back: status, raw headers and body, byte by byte."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value.decode("latin-1") for key, value in self.headers if key.decode().lower() == name), "")


async def ask(app: Any, request: Request, headers: Pairs = ()) -> Answer:
    """Send a request and wait for the end of the answer; one that goes on for ever is left after a silence."""
    pieces: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    left = asyncio.Event()
    body = request.body or urlencode(request.form).encode()
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if given:
            return given.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        try:
            await app(_scope(request, headers, len(body)), receive, pieces.put)
        finally:
            await pieces.put(None)

    running = asyncio.ensure_future(run())
    answer = await _collect(pieces)
    left.set()
    await _ended(running)
    return answer


async def _collect(pieces: asyncio.Queue[dict[str, Any] | None]) -> Answer:
    status, headers, body = 0, (), b""
    is_endless = False
    while True:
        try:
            message = await asyncio.wait_for(pieces.get(), _SILENCE_S if is_endless else None)
        except TimeoutError:
            break
        if message is None:
            break
        if message["type"] == "http.response.start":
            status, headers = message["status"], tuple((bytes(k), bytes(v)) for k, v in message["headers"])
            is_endless = (b"content-type", b"text/event-stream") in {(k, v.split(b";")[0]) for k, v in headers}
        elif message["type"] == "http.response.body":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    return Answer(status, headers, body)


async def _ended(running: asyncio.Future[None]) -> None:
    """Let the application finish what it does after an answer (it keeps records then); end what has no end.

    What it raises then has told the client nothing, and is not ours to judge.
    """
    done, _ = await asyncio.wait({running}, timeout=5)
    if not done:
        running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _scope(request: Request, headers: Pairs, body_bytes: int) -> dict[str, Any]:
    form = (("content-type", "application/x-www-form-urlencoded"),) if request.form else ()
    length = (("content-length", str(body_bytes)),) if body_bytes else ()
    sent = (("host", "pachon.example"), *headers, *form, *length, *request.headers)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": quote(request.path).encode(),
        "query_string": urlencode(request.query).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent],
        "client": ("127.0.0.1", 50_000),
        "server": ("pachon.example", 80),
    }
