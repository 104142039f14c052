"""Forms with files (multipart/form-data, RFC 7578): values become parameters, files go to disk as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from anyio import current_time, fail_after
from anyio.to_thread import run_sync
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from pachon.core.errors import LimitError, PachonError, UsageError
from pachon.vo.dali import Parameters

_PIECE_BYTES = 1024**2
_VALUES_BYTES = 4 * 1024**2
"""Of all values of a form together: they are held in memory."""
_MOST_PARTS = 1_000
_DRAINED_BYTES = 64 * 1024**2
"""How much is read on after a refusal: a client that still sends does not listen."""


class Part(Protocol):
    """A file on its way."""

    def write(self, data: bytes) -> None:
        """Keep some bytes more; blocks."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class Intake(Protocol):
    """Takes the files of a request."""

    def receive(self, part: str) -> Part:
        """Begin to receive a file under the name of its part."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a form may take to come, and how long nothing may come of it, seconds."""

    total_s: float
    stall_s: float


def may_have_files(request: Request) -> bool:
    """Whether a request has a form that can bring files along."""
    media_type, _ = parse_options_header(request.headers.get("content-type"))
    return request.method == "POST" and media_type == b"multipart/form-data"


async def parameters_and_files(request: Request, intake: Intake, patience: Patience) -> Parameters:
    """The parameters of a form (see `may_have_files`) and of the address; its files go to the intake.

    Raises
    ------
    UsageError
        If the form cannot be read.
    LimitError
        If it takes too long; and as the intake says.
    UnavailableError
        As the intake says.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise UsageError("The form of this POST cannot be read: its Content-Type names no boundary.")
    form = _Form(boundary, intake)
    try:
        await _read(_pieces(request, patience), form)
    except FormParserError as error:
        raise UsageError(f"The form of this POST cannot be read: {error}.") from None
    finally:
        form.close()
    return Parameters.from_pairs([*request.query_params.multi_items(), *form.pairs])


async def _pieces(request: Request, patience: Patience) -> AsyncIterator[bytes]:
    """The body as it comes, for as long as patience lasts."""
    pieces = request.stream()
    ends_at = current_time() + patience.total_s
    while True:
        left_s = ends_at - current_time()
        try:
            with fail_after(min(patience.stall_s, left_s)):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise UsageError("The form of this POST cannot be read: its sender left before its end.") from None
        except TimeoutError:
            raise _too_slow(patience, is_stalled=patience.stall_s < left_s) from None
        yield piece


def _too_slow(patience: Patience, *, is_stalled: bool) -> LimitError:
    if is_stalled:
        return LimitError(f"Nothing more came of the form of this POST for {patience.stall_s:g} s; send it again.")
    return LimitError(f"The form of this POST took longer to come than the {patience.total_s:g} s allowed; send less.")


async def _read(pieces: AsyncIterator[bytes], form: _Form) -> None:
    """Read the whole body; after a refusal a part of the rest, so that the client comes to listen."""
    refusal: PachonError | None = None
    drained = 0
    waiting = bytearray()
    async for chunk in pieces:
        if refusal is not None:
            drained += len(chunk)
            if drained > _DRAINED_BYTES:
                break
            continue
        waiting += chunk
        if len(waiting) < _PIECE_BYTES:
            continue
        try:
            await run_sync(form.feed, bytes(waiting))
        except PachonError as error:
            refusal = error
        waiting.clear()
    if refusal is not None:
        raise refusal
    await run_sync(partial(form.feed, bytes(waiting), is_last=True))


@dataclass
class _Form:
    """What a parser tells of a form, in order."""

    boundary: bytes
    intake: Intake
    pairs: list[tuple[str, str]] = field(default_factory=list)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _name: str = ""
    _value: bytearray = field(default_factory=bytearray)
    _file: Part | None = None
    _parts: int = 0
    _held_bytes: int = 0
    _is_over: bool = False

    def __post_init__(self) -> None:
        self._parser = MultipartParser(
            self.boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def feed(self, data: bytes, *, is_last: bool = False) -> None:
        """Parse some bytes more; blocks while files are written."""
        if data:
            self._parser.write(data)
        if is_last and not self._is_over:
            raise UsageError("The form of this POST cannot be read: it ends before its last boundary.")

    def close(self) -> None:
        """Close a file that did not end."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _begin(self) -> None:
        self._headers = {}
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise UsageError(f"The form of this POST has more than the {_MOST_PARTS} parts allowed.")

    def _end_header(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._headers[name.lower()] = value
        self._header = (bytearray(), bytearray())

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise UsageError("The form of this POST cannot be read: a part has no name.")
        self._name = options[b"name"].decode("utf-8", errors="replace")
        media_type, _ = parse_options_header(self._headers.get(b"content-type"))
        is_file = b"filename" in options or media_type not in {b"", b"text/plain"}
        self._file = self.intake.receive(self._name) if is_file else None
        self._value = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._value += data[start:end]
        self._held_bytes += end - start
        if self._held_bytes > _VALUES_BYTES:
            message = f"The values up to that of {self._name[:80]} are longer than the {_VALUES_BYTES:,} bytes allowed."
            raise UsageError(message, parameter=self._name[:80])

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        else:
            self.pairs.append((self._name, self._value.decode("utf-8", errors="replace")))

    def _finish(self) -> None:
        self._is_over = True
