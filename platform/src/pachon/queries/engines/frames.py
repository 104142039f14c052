"""Messages between an engine and its worker processes: one kind byte, a length, a payload, over a Unix socket."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

_HEADER = struct.Struct(">BI")
_SMALL_BYTES = 64 * 1024
"""What is copied to go out in one piece: every piece wakes the other side."""


class Kind(IntEnum):
    """What a message is. An answer is complete only if it ends with `DONE`."""

    CONFIGURE = 1
    READY = 2
    QUERY = 3
    TABLE = 4
    CANCEL = 5
    SCHEMA = 6
    BATCH = 7
    DONE = 8
    FAILED = 9


class ClosedError(Exception):
    """The other side is gone."""


def send(connection: socket.socket, kind: Kind, *parts: bytes | memoryview) -> None:
    """Send one message; blocks while the other side does not read (back-pressure)."""
    length = sum(len(part) for part in parts)
    pieces: tuple[bytes | memoryview, ...] = (_HEADER.pack(kind, length), *parts)
    if length <= _SMALL_BYTES:
        pieces = (b"".join(pieces),)
    try:
        for part in pieces:
            connection.sendall(part)
    except OSError as error:
        raise ClosedError from error


def receive(connection: socket.socket) -> tuple[Kind, bytearray]:
    """Receive one message.

    Raises
    ------
    ClosedError
        If the other side is gone.
    TimeoutError
        If the socket's timeout passed first.
    """
    kind, length = _HEADER.unpack(_exactly(connection, _HEADER.size))
    return Kind(kind), _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        try:
            count = connection.recv_into(view)
        except TimeoutError:
            raise
        except OSError as error:
            raise ClosedError from error
        if count == 0:
            raise ClosedError
        view = view[count:]
    return buffer
