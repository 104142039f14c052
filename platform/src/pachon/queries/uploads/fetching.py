"""Fetches uploads from http(s) addresses, of allowed hosts only.

A name is resolved once, its addresses are judged, and the connection is made to the one that was judged: what the name
stands for a moment later does not matter. Redirects are followed on the same host alone.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import closing
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from pachon.core.errors import UsageError
from pachon.queries.uploads.models import PORTS, Upload, UploadLimits
from pachon.queries.uploads.storage import ReceivedPart

_REDIRECTS = 3
_SILENCE_S = 30.0
_PIECE_BYTES = 256 * 1024
_OK, _FIRST_REDIRECT, _FIRST_ERROR = 200, 300, 400


def fetch(upload: Upload, part: ReceivedPart, limits: UploadLimits) -> None:
    """Fetch one upload, of a host that `uploads_of` allowed, into a part.

    Raises
    ------
    UsageError
        If its host stands for no public address, or does not answer with a document.
    LimitError
        If it is too large.
    """
    deadline = time.monotonic() + limits.timeout_s
    try:
        _fetch(upload, part, limits, deadline=deadline)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise _refusal(upload, f"{_shown(upload.uri)} could not be fetched ({reason[:120]}).") from None


def _fetch(upload: Upload, part: ReceivedPart, limits: UploadLimits, *, deadline: float) -> None:
    url = upload.uri
    for _ in range(_REDIRECTS + 1):
        address = urlsplit(url)
        with closing(_connection(address, _resolved(upload, address, limits))) as connection:
            target = (address.path or "/") + (f"?{address.query}" if address.query else "")
            connection.request("GET", target, headers={"Accept": "*/*", "User-Agent": "Pachon"})
            answer = connection.getresponse()
            if answer.status == _OK:
                _take(upload, answer, part, deadline)
                return
            if not _FIRST_REDIRECT <= answer.status < _FIRST_ERROR or not (place := answer.getheader("Location")):
                raise _refusal(upload, f"{_shown(url)} answers with status {answer.status}.")
        url = urljoin(url, place)
        if urlsplit(url)[:2] != address[:2]:
            raise _refusal(upload, f"{_shown(upload.uri)} leads to {_shown(url)}; only the same host is followed.")
    raise _refusal(upload, f"{_shown(upload.uri)} leads elsewhere more than {_REDIRECTS} times.")


def _take(upload: Upload, answer: http.client.HTTPResponse, part: ReceivedPart, deadline: float) -> None:
    while piece := answer.read(_PIECE_BYTES):
        if time.monotonic() > deadline:
            raise _refusal(upload, f"{_shown(upload.uri)} takes too long to be fetched.")
        part.write(piece)


def _resolved(upload: Upload, address: SplitResult, limits: UploadLimits) -> tuple[str, int]:
    """An address that may be connected to."""
    host, port = address.hostname or "", address.port or PORTS[address.scheme]
    listed = {each.rpartition(":")[0] or each for each in limits.hosts}
    for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        number = str(entry[4][0])
        if _is_public(number) or number in listed:
            return number, port
    raise _refusal(upload, f"the host of {_shown(upload.uri)} stands for no public address, and only these are read.")


def _is_public(number: str) -> bool:
    found = ip_address(number)
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (inner or found).is_global


def _connection(address: SplitResult, place: tuple[str, int]) -> http.client.HTTPConnection:
    """A connection to a given place, whatever the name stands for by now."""
    host, port = address.hostname or "", place[1]
    connection = http.client.HTTPConnection(host, port, timeout=_SILENCE_S)
    wire = socket.create_connection(place, timeout=_SILENCE_S)
    if address.scheme == "https":
        wire = ssl.create_default_context().wrap_socket(wire, server_hostname=host)
    connection.sock = wire
    return connection


def _shown(url: str) -> str:
    return url if len(url) <= 120 else f"{url[:120]}..."  # noqa: PLR2004 -- of a sentence


def _refusal(upload: Upload, message: str) -> UsageError:
    return UsageError(f"Upload '{upload.name}': {message}", parameter="UPLOAD")
