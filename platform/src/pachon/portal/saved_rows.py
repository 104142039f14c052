"""The rows of a saved query for the Portal: whether there are any, and as many as a page takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon_client import Query, Result

MOST_ROWS = 1_000_000
_RUNNING = frozenset({"PENDING", "QUEUED", "EXECUTING", "HELD", "SUSPENDED"})
_LONGEST_ADDRESS = 200


def wanted_query(arguments: Mapping[str, Sequence[bytes]]) -> str:
    """Address of the saved query that a page's own address asks for (`q`, and `link` of a link); empty for none."""
    given = {
        name: arguments[name][0].decode(errors="replace")[:_LONGEST_ADDRESS]
        for name in ("q", "link")
        if arguments.get(name)
    }
    return f"?{urlencode(given)}" if given.get("q") else ""


def absence_of(version: Mapping[str, Any]) -> str | None:
    """Why there are no rows of a version: None if there are or will be, empty if it is only to be run again."""
    run, result = version["run"], version["result"]
    if result["available"] or (run is not None and run["phase"] in _RUNNING):
        return None
    is_out_of_reach = run is not None and (run["phase"] != "COMPLETED" or run["row_count"] is None)
    return f"There are no rows to show. {result['reason'] or ''}".strip() if is_out_of_reach else ""


def places_shown(query: Query, result: Result) -> NDArray[np.bool_]:
    """Which rows of a result the view of its query shows, shape (rows,): the platform applies filters and selection."""
    found = query.result(shown=True, places=True, columns=[result.columns[0].name], limit=MOST_ROWS)
    places = np.asarray(found.table.column(0))
    mask = np.zeros(len(result), dtype=bool)
    mask[places[places < len(result)]] = True
    return mask


def rows_of(query: Query) -> Result:
    """The first rows of a query; waits for its run. `overflow` tells whether there are more."""
    result = query.result(limit=MOST_ROWS)
    has_more = query.row_count is not None and query.row_count > len(result)
    return replace(result, overflow=result.overflow or has_more)
