"""What changes at the platform, told as it happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pachon_client.models import Change

if TYPE_CHECKING:
    from pachon_client.transport import Transport

CONNECTED = "connected"
"""Kind of the change that tells that the platform listens to us: what was before may have been missed."""


def follow_changes(transport: Transport, address: str, after: str) -> Iterator[Change]:
    """The changes of `Client.changes`: an event stream, read line by line (WHATWG HTML, section 9.2.6)."""
    given = parse_qs(urlsplit(address).query)
    params: dict[str, str | int] = {
        name: given[wanted][0] for name, wanted in (("query", "q"), ("link", "link")) if wanted in given
    }
    headers = {"Last-Event-ID": after} if after else {}
    with transport.stream("GET", "queries/events", params=params, headers=headers) as response:
        yield Change(kind=CONNECTED, id=after)
        told: dict[str, str] = {}
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name:
                told[name] = value
            elif line == "" and "data" in told:
                yield Change(kind=told.get("event", ""), id=told.get("id", ""), payload=json.loads(told["data"]))
                told = {}
