"""A release on another platform, asked over HTTP with patience: retries, resumption, and errors as one sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from pachon.core.errors import SetupError
from pachon.releases.models import StoredFile

_TRY_LATER = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_REFUSED = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_ATTEMPTS = 6
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 120.0
"""Who asks to wait longer refuses: a file that must be repaired, say, for which the others need not wait."""
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_LIST_TIMEOUT = httpx.Timeout(900.0, connect=10.0)
_READ_BYTES = 1024 * 1024


class FileRefusedError(SetupError):
    """One file cannot be had; the others may be."""


class _LaterError(Exception):
    """The same request may succeed after a pause."""

    def __init__(self, message: str, *, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class Remote:
    """A release of another platform; safe to use from several threads.

    Parameters
    ----------
    base_url
        Address of the platform, or of its Web APIs (`.../api`).
    token
        A token of that platform, for what is not public.
    pause
        Waits for so many seconds; by default, until `stop` at the latest.
    """

    def __init__(
        self,
        base_url: str,
        release_id: str,
        *,
        token: str | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.release_id = release_id
        self._base = base_url.rstrip("/").removesuffix("/api")
        self._files = f"{self._base}/api/releases/{quote(release_id, safe='')}/files"
        headers = {"User-Agent": "pachon-mirror", "Accept-Encoding": "identity"}
        self._http = httpx.Client(
            headers=headers | ({"Authorization": f"Bearer {token}"} if token else {}), timeout=_TIMEOUT
        )
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def stop(self) -> None:
        """Have all downloads end at their next piece, with an error."""
        self._stopped.set()

    def save_list(self, path: Path, *, under: str = "") -> None:
        """Write the list of files to a file, one JSON object a line.

        Raises
        ------
        SetupError
            If it cannot be had.
        """
        params = {"format": "jsonl", "under": under}

        def attempt(_: int) -> Iterator[bytes]:
            with self._answer(self._files, params=params, timeout=_LIST_TIMEOUT) as answer, path.open("wb") as written:
                for piece in answer.iter_bytes(_READ_BYTES):
                    written.write(piece)
                    yield piece

        for _ in self._patiently(attempt):
            pass

    def pieces(self, file: StoredFile, start: int) -> Iterator[bytes]:
        """The bytes of a file from a place on, whatever interruptions there are; not yet verified.

        Raises
        ------
        FileRefusedError
            If this file cannot be had, or is not the listed one any more.
        SetupError
            If the platform cannot be reached, or does not let this person in.
        """

        def attempt(received: int) -> Iterator[bytes]:
            yield from self._rest(file, start + received)

        return self._patiently(attempt)

    def _rest(self, file: StoredFile, start: int) -> Iterator[bytes]:
        if start == file.size_bytes and start:
            return
        etag = f'"{file.sha256}"'
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start else {}
        with self._answer(f"{self._files}/{quote(file.path)}", headers=headers) as answer:
            is_rest = answer.headers.get("content-range", "").startswith(f"bytes {start}-")
            if answer.headers.get("etag", etag) != etag or (start and not is_rest):
                raise FileRefusedError(f"{file.path} has changed on the platform meanwhile; mirror again.")
            left = file.size_bytes - start
            for piece in answer.iter_bytes(_READ_BYTES):
                left -= len(piece)
                if left < 0:
                    raise FileRefusedError(f"{file.path} is longer than the {file.size_bytes} bytes listed.")
                yield piece
            if left:
                raise _LaterError(f"{file.path} ended {left} bytes early")

    def _patiently(self, attempt: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
        """Pieces of one attempt after the other, each told how many bytes there are; progress renews the patience."""
        received, failed = 0, 0
        while True:
            try:
                for piece in attempt(received):
                    self._end_if_stopped()
                    received += len(piece)
                    failed = 0
                    yield piece
            except (_LaterError, httpx.TransportError) as error:
                failed += 1
                if failed >= _ATTEMPTS:
                    raise SetupError(f"{self._base} cannot be reached: {_reason(error)}.") from None
                asked = error.pause_s if isinstance(error, _LaterError) else None
                self._pause(_FIRST_PAUSE_S * 2 ** (failed - 1) if asked is None else asked)
                self._end_if_stopped()
            except httpx.InvalidURL:
                raise SetupError(f"'{self._base}' is no address; it may be like https://sky.example.org.") from None
            else:
                return

    def _end_if_stopped(self) -> None:
        if self._stopped.is_set():
            raise SetupError("The download was stopped.")

    @contextmanager
    def _answer(self, url: str, **request: Any) -> Iterator[httpx.Response]:  # noqa: ANN401 -- what httpx takes
        with self._http.stream("GET", url, **request) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer, is_file=url != self._files)
            yield answer


def _refusal(answer: httpx.Response, *, is_file: bool) -> Exception:
    sentence = _sentence(answer) or f"{answer.url} answered {answer.status_code} {answer.reason_phrase}."
    given = answer.headers.get("retry-after", "")
    pause_s = float(given) if given.isdecimal() else None
    is_later = answer.status_code in _TRY_LATER
    if is_later and (pause_s is None or pause_s <= _LONGEST_PAUSE_S):
        return _LaterError(sentence.rstrip("."), pause_s=pause_s)
    is_of_file = is_file and (is_later or answer.status_code in _REFUSED)
    return FileRefusedError(sentence) if is_of_file else SetupError(sentence)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _sentence(answer: httpx.Response) -> str | None:
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return None
    return message if isinstance(message, str) else None
