"""Bulk download: files read in such a way that many streams do not exhaust the server.

Files are read in pieces by a few threads of our own; a stream that waits for its client holds no thread. How many
streams there may be, in all and for one person, is limited.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from pachon.core.errors import UnavailableError
from pachon.releases.models import StoredFile
from pachon.vo.ranges import Layout, Representation

_PIECE_BYTES = 256 * 1024
_RETRY_AFTER_S = 20
_RETRY_DAMAGED_S = 3600
_MEDIA_TYPES = {".parquet": "application/vnd.apache.parquet", ".fits": "application/fits"}

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """Limits of bulk download, of one process.

    Parameters
    ----------
    max_streams, max_streams_per_person
        How many answers may be under way.
    reader_threads
        How many pieces are read from disk at once.
    stall_timeout_s
        How long a client may take for one piece of 256 KiB.
    """

    max_streams: int = 256
    max_streams_per_person: int = 16
    reader_threads: int = 4
    stall_timeout_s: float = 60.0


class Downloads:
    """Reads for those who download; belongs to one event loop."""

    def __init__(self, limits: DownloadLimits) -> None:
        self.limits = limits
        self._readers = CapacityLimiter(limits.reader_threads)
        self._streams: Counter[str] = Counter()

    async def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function that reads from disk, on a thread of downloads."""
        return await run_sync(partial(function, *arguments), limiter=self._readers)

    @contextmanager
    def place(self, person: str) -> Iterator[None]:
        """Hold one of the places for streams.

        Parameters
        ----------
        person
            Who downloads.

        Raises
        ------
        UnavailableError
            If this person, or all together, have as many under way as there may be.
        """
        limits = self.limits
        if self._streams[person] >= limits.max_streams_per_person:
            message = f"You have {limits.max_streams_per_person} downloads under way, as many as one person may have"
            raise UnavailableError(f"{message}; try again when one has ended.", retry_after_s=_RETRY_AFTER_S)
        if self._streams.total() >= limits.max_streams:
            message = f"All {limits.max_streams} places for downloads are taken; try again in {_RETRY_AFTER_S} s."
            raise UnavailableError(message, retry_after_s=_RETRY_AFTER_S)
        self._streams[person] += 1
        try:
            yield
        finally:
            self._streams[person] -= 1
            if not self._streams[person]:
                del self._streams[person]

    def turn(self, person: str) -> DownloadTurn:
        """A place that is taken when it is a person's turn."""
        return DownloadTurn(self, person)

    @asynccontextmanager
    async def open_file(self, person: str, path: Path, body: Layout) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of a body that is made of ranges of a file.

        Raises
        ------
        UnavailableError
            If no place is free, or the file cannot be opened.
        """
        with self.place(person), await self.call(_opened, path) as file:
            yield self._pieces(_ranges(file, body))

    @asynccontextmanager
    async def open_list(self, person: str, pieces: Iterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of a list; empty ones, by which its reader lets go of a thread, are left out.

        Raises
        ------
        UnavailableError
            If no place is free.
        """
        with self.place(person):
            yield self._pieces(pieces)

    async def measure(self, person: str, pieces: Iterator[bytes]) -> tuple[str, int]:
        """SHA-256 of a list, hexadecimal, and its size in bytes.

        Raises
        ------
        UnavailableError
            If no place is free.
        """
        digest, size_bytes = hashlib.sha256(), 0
        async with self.open_list(person, pieces) as opened:
            async for piece in opened:
                digest.update(piece)
                size_bytes += len(piece)
        return digest.hexdigest(), size_bytes

    async def _pieces(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while (piece := await self.call(next, pieces, None)) is not None:
            if piece:
                yield piece


class DownloadTurn:
    """A place for a stream that is written as it is sent, such as the result of a job; it is a turn of `vo.http`."""

    def __init__(self, downloads: Downloads, person: str) -> None:
        self._downloads = downloads
        self._person = person
        self._held = ExitStack()

    async def begin(self) -> None:
        """Take a place: see `Downloads.place`."""
        self._held.enter_context(self._downloads.place(self._person))

    def end(self) -> None:
        """Give it back. Safe to call more than once, and before it began."""
        self._held.close()


def represent(stored: StoredFile, path: Path) -> Representation:
    """What is to be sent of a stored file.

    Raises
    ------
    UnavailableError
        If it is not on disk, or not of the size that its manifest says.
    """
    try:
        status = path.lstat()
    except OSError:
        raise _damaged(stored.path, "cannot be read") from None
    if not stat.S_ISREG(status.st_mode):
        raise _damaged(stored.path, "is no file any more")
    if status.st_size != stored.size_bytes:
        raise _damaged(stored.path, "has not the size that its manifest says")
    return Representation(
        media_type=_MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        modified_at=datetime.fromtimestamp(status.st_mtime, tz=UTC),
    )


def attachment(path: str) -> str:
    """`Content-Disposition` that keeps a file by its name (RFC 6266, section 4)."""
    name = path.rpartition("/")[2]
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in name)
    return f'attachment; filename="{plain}"' + ("" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}")


def _opened(path: Path) -> FileIO:
    try:
        return FileIO(path)
    except OSError:
        raise _damaged(path.name, "cannot be read") from None


def _ranges(file: FileIO, body: Layout) -> Iterator[bytes]:
    for head, part in body.parts:
        if head:
            yield head
        position = part.start
        while position < part.stop:
            piece = os.pread(file.fileno(), min(_PIECE_BYTES, part.stop - position), position)
            if not piece:
                raise _damaged(Path(file.name).name, "ended early")
            position += len(piece)
            yield piece
    if body.end:
        yield body.end


def _damaged(name: str, what: str) -> UnavailableError:
    message = f"File '{name}' {what}; the operators can repair it with 'pachon release verify'."
    return UnavailableError(message, retry_after_s=_RETRY_DAMAGED_S)
