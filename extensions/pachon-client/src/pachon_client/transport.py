"""One connection to the API: the token, the time-outs, and errors in the server's words."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NoReturn
from weakref import WeakSet
from xml.etree import ElementTree as ET

import httpx

from pachon_client.errors import (
    AnswerError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    PachonClientError,
    RequestError,
    StaleError,
    UnavailableError,
    UnreachableError,
)

_BY_STATUS: dict[int, type[PachonClientError]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    412: StaleError,
}
_TRY_LATER = frozenset({429, 502, 503, 504})
_CONNECT_TIMEOUT_S = 10.0


class Transport:
    """HTTP to one API; safe to use from several threads.

    Parameters
    ----------
    api_url
        Base address of the Web APIs, without a trailing slash.
    token
        Sent as bearer token; None asks anonymously.
    timeout_s
        Longest silence of the server that is waited for.
    agent
        What this program calls itself (`User-Agent`).
    """

    def __init__(self, api_url: str, token: str | None, *, timeout_s: float, agent: str = "pachon-client") -> None:
        self.api_url = api_url
        headers = {"User-Agent": agent} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = httpx.Client(headers=headers, timeout=httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S))
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._is_closed = False
        self._lock = threading.Lock()

    def get(self, path: str, *, params: Mapping[str, str | int] | None = None) -> httpx.Response:
        """The whole answer of `GET <api_url>/<path>`."""
        with self.stream("GET", path, params=params) as response:
            response.read()
            return response

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The whole answer of `<method> <api_url>/<path>`, with a body of JSON unless it is None."""
        with self.stream(method, path, params=params, body=body, headers=headers) as response:
            response.read()
            return response

    def post_form(self, path: str, form: Mapping[str, str]) -> str:
        """Post a form that is answered by a redirection (303), and say to where; it is not followed."""
        with self.stream("POST", path, data=form, redirects=True) as response:
            return str(response.headers.get("Location", ""))

    def sentence(self, path: str) -> str:
        """The sentence in the error document at `GET <api_url>/<path>`."""
        response = self.get(path)
        return _sentence(response) or f"{response.url} does not say what went wrong."

    def close(self) -> None:
        """Close the connections; a request under way in another thread ends at once, and the server learns of it.

        Closing a socket does not wake a thread that waits for it, and the connection stays open until it wakes:
        the sockets are shut down first.
        """
        with self._lock:
            self._is_closed = True
            for opened in self._sockets:
                _shut_down(opened)
        self._http.close()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember each socket that httpcore opens (HTTPX, section Extensions, `trace`)."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            opened = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets.add(opened)
                if self._is_closed:
                    _shut_down(opened)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, BinaryIO] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        redirects: bool = False,
    ) -> Iterator[httpx.Response]:
        """The answer of `<method> <api_url>/<path>`, with a query, a form, files or a body of JSON, still unread.

        A redirection is a wrong answer, unless `redirects` are expected; none is followed.
        """
        url = f"{self.api_url}/{path}"
        try:
            traced = {"trace": self._trace}
            with self._http.stream(
                method, url, params=params, data=data, files=files, json=body, headers=headers, extensions=traced
            ) as response:
                if not (response.is_success or (redirects and response.has_redirect_location)):
                    response.read()
                    _fail(response)
                yield response
        except httpx.ConnectError as error:
            raise UnreachableError(f"Nothing answers at {self.api_url}: {error}.") from None
        except httpx.TimeoutException:
            raise UnavailableError(f"{url} did not answer in time.") from None
        except httpx.RemoteProtocolError as error:
            raise AnswerError(f"The answer of {url} ended early: {error}.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(f"{url} cannot be asked: {error}.") from error


class ByteStream(io.RawIOBase):
    """The body of a streamed response as a file that can be read once."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks = response.iter_bytes()
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` with what is there; 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):  # closed already, or given over to TLS
        opened.shutdown(socket.SHUT_RDWR)


def _fail(response: httpx.Response) -> NoReturn:
    status = response.status_code
    message = _sentence(response) or f"{response.url} answered {status} {response.reason_phrase}."
    if status in _TRY_LATER:
        retry_after = response.headers.get("Retry-After", "")
        raise UnavailableError(message, retry_after_s=int(retry_after) if retry_after.isdecimal() else None)
    if status < httpx.codes.BAD_REQUEST or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise AnswerError(message)
    raise _BY_STATUS.get(status, RequestError)(message)


def _sentence(response: httpx.Response) -> str | None:
    """The server's own sentence, from a JSON or VOTable error document; None where there is none."""
    kind = response.headers.get("Content-Type", "")
    if "json" in kind:
        return _json_sentence(response.content)
    return _votable_sentence(response.content) if "xml" in kind else None


def _json_sentence(body: bytes) -> str | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else None


def _votable_sentence(body: bytes) -> str | None:
    """The error of a DALI 1.1 section 4.4 document (`QUERY_STATUS`) or of an SCS one (`Error`)."""
    try:
        root = ET.fromstring(body)  # noqa: S314 -- answered by the platform the person pointed at, expat bounds entities
    except ET.ParseError:
        return None
    for info in root.iter():
        if info.tag.rpartition("}")[2] in {"INFO", "PARAM"} and info.get("name") in {"QUERY_STATUS", "Error"}:
            text = (info.text or "").strip()
            return text or (info.get("value") if info.get("name") == "Error" else None)
    return None
