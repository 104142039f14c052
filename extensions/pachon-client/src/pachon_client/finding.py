"""Saved queries: made, opened and listed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pachon_client.documents import ask, exchange
from pachon_client.errors import RequestError
from pachon_client.models import QuerySummary
from pachon_client.saved_query import Query
from pachon_client.transport import Transport

_ID = re.compile(r"(?<![0-9a-z])[0-9a-hjkmnp-tv-z]{26}(?![0-9a-z])")
_PAGE = 200


def new_query(transport: Transport, given: Mapping[str, Any]) -> Query:
    """Save a query."""
    return Query(transport, *exchange(transport, "POST", "queries", body=given))


def open_query(transport: Transport, address: str) -> Query:
    """Open a query by its id, or by an address that has it."""
    found = _ID.search(address)
    if found is None:
        raise RequestError(f"'{address[:80]}' is neither the id of a query nor a link to one.")
    link = parse_qs(urlsplit(address).query).get("link", [""])[0]
    params: dict[str, str | int] = {"link": link} if link else {}
    return Query(transport, *exchange(transport, "GET", f"queries/{found.group()}", params=params), link=link)


def list_queries(transport: Transport, limit: int, conditions: Mapping[str, str]) -> tuple[QuerySummary, ...]:
    """At most `limit` queries, newest change first."""
    found: list[QuerySummary] = []
    params: dict[str, str | int] = dict(conditions)
    while len(found) < limit:
        page = ask(transport, "GET", "queries", params=params | {"limit": min(_PAGE, limit - len(found))})
        found += [QuerySummary.from_json(query) for query in page["queries"]]
        if page["next_before"] is None:
            break
        params["before"] = page["next_before"]
    return tuple(found)
