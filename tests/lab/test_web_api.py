"""The lab's connections to the platform."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from pachon_lab.web_api import WebApi

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: "


async def _answer(answers: list[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A platform whose events never end."""
    answers.append(asyncio.current_task())
    asked = await reader.readuntil(b"\r\n\r\n")
    if b"/events" in asked:
        writer.write(_HEAD + b"text/event-stream\r\n\r\n: connected\n\n")
        await reader.read()
    else:
        writer.write(_HEAD + b"application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    writer.close()
    await writer.wait_closed()


async def _asked_beside_streams(count: int) -> object:
    answers = list[Any]()
    server = await asyncio.start_server(partial(_answer, answers), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    api = WebApi(f"http://{host}:{port}", "", agent="test")
    async with server, api._http, api._streams:
        async with AsyncExitStack() as tabs:
            for _ in range(count):
                await tabs.enter_async_context(api.stream("queries/events", {}))
            answer = await asyncio.wait_for(api.json("GET", "queries"), 10)
        await asyncio.gather(*answers)
    return answer


def test_thirty_open_tabs_take_no_connection_from_what_people_ask() -> None:
    assert asyncio.run(_asked_beside_streams(30)) == {}
