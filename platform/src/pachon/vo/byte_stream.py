"""Bytes on their way: as fast as they are taken, and given up when they are not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import anyio
from fastapi import Response
from starlette.types import Receive, Scope, Send

Source = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Opens the pieces of a body."""

_LOGGER = logging.getLogger(__name__)


class ByteStream(Response):
    """An answer whose body is read while it is sent.

    It ends early, with the connection, if the client goes away or takes nothing for too long.

    Parameters
    ----------
    source
        Opens the pieces of the body. Its errors are raised before anything is sent, so that they get a status.
    headers
        With `Content-Length`.
    stall_timeout_s
        How long the client may take for one piece.
    """

    def __init__(
        self,
        source: Source,
        *,
        status_code: int = 200,
        headers: dict[str, str],
        stall_timeout_s: float,
    ) -> None:
        super().__init__(status_code=status_code, headers=headers)
        self._source = source
        self._stall_timeout_s = stall_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        async with self._source() as pieces, anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_left, receive, tasks.cancel_scope)
            if not await self._send_all(pieces, send):
                _LOGGER.info("%s: given up, nothing was taken for %s s", scope["path"], self._stall_timeout_s)
            tasks.cancel_scope.cancel()

    async def _send_all(self, pieces: AsyncIterator[bytes], send: Send) -> bool:
        """Send head and body; whether the client took them."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in pieces:
            with anyio.move_on_after(self._stall_timeout_s) as patience:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if patience.cancelled_caught:
                return False
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True


async def _cancel_when_left(receive: Receive, sending: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()
