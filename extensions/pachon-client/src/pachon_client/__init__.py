"""Ask a Pachon science platform: `query` for the short road, `Client` for all of it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pachon_client.errors import (
    AnswerError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    PachonClientError,
    RequestError,
    SetupError,
    StaleError,
    UnavailableError,
    UnreachableError,
)
from pachon_client.models import (
    Change,
    Column,
    Difference,
    Execution,
    File,
    Function,
    QuerySummary,
    QueryVersion,
    Release,
    Running,
    Share,
    Table,
)
from pachon_client.view import AdqlSelection, BoxSelection, Filter, PolygonSelection, RowSelection, View

if TYPE_CHECKING:
    from pathlib import Path

    from pachon_client.browsing import Browser
    from pachon_client.client import Client
    from pachon_client.jobs import Job
    from pachon_client.result import Result
    from pachon_client.saved_query import Query
    from pachon_client.skyview import SkyViewer
    from pachon_client.uploading import Sendable

__version__ = "0.1.0"

__all__ = [
    "AdqlSelection",
    "AnswerError",
    "AuthenticationError",
    "BoxSelection",
    "Change",
    "Client",
    "Column",
    "Difference",
    "Execution",
    "File",
    "Filter",
    "ForbiddenError",
    "Function",
    "Job",
    "NotFoundError",
    "PachonClientError",
    "PolygonSelection",
    "Query",
    "QuerySummary",
    "QueryVersion",
    "Release",
    "RequestError",
    "Result",
    "RowSelection",
    "Running",
    "SetupError",
    "Share",
    "StaleError",
    "Table",
    "UnavailableError",
    "UnreachableError",
    "View",
    "ask",
    "browse",
    "load_ipython_extension",
    "open",
    "queries",
    "query",
    "sky",
]


_HOMES = {"Client": "client", "Job": "jobs", "Query": "saved_query", "Result": "result"}
"""Names that are imported when they are first asked for: a kernel that has the magic starts without Arrow and HTTP."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever stands there
        """Import a name of `_HOMES` (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found


def query(adql: str, max_rows: int | None = None, *, uploads: Mapping[str, Sendable] | None = None) -> Result:
    """Run an ADQL query on the platform this session belongs to (`PACHON_API_URL`); see `Client.query`."""
    return _session_client().query(adql, max_rows, uploads=uploads)


def ask(adql: str, name: str = "", *, max_rows: int | None = None, **more: Any) -> Query:  # noqa: ANN401 -- members differ
    """Save a query and run it as a job; see `Client.ask`."""
    return _session_client().ask(adql, name, max_rows=max_rows, **more)


def queries(text: str = "", *, limit: int = 50, **conditions: str) -> tuple[QuerySummary, ...]:
    """Saved queries of yours and those shared with you; see `Client.queries`."""
    return _session_client().queries(text, limit=limit, **conditions)


def open(query: str) -> Query:  # noqa: A001 -- the verb that people look for
    """A saved query by its id or a link; see `Client.open`."""
    return _session_client().open(query)


def browse(rows: Any, x: str = "", y: str = "") -> Browser:  # noqa: ANN401 -- tables of other libraries
    """Table, map of the sky and plot of the same rows in a notebook, linked by one selection.

    Parameters
    ----------
    rows
        A saved query, a `Result`, or a table of Arrow, pandas or astropy.
    x, y
        Quantities of the plot: a column of numbers, or one minus another, such as `g_mag - r_mag`. By default colour
        and magnitude where the columns tell of them.

    Raises
    ------
    RequestError
        There are no such rows, or no such columns.
    """
    from pachon_client.browsing import Browser  # noqa: PLC0415 -- scripts that only ask need none of it

    return Browser(rows, keep=lambda result, name, view: _session_client().save(result, name, view=view), x=x, y=y)


def sky(image: str | Path, rows: Any = None) -> SkyViewer:  # noqa: ANN401 -- tables of other libraries
    """An image of the sky in a notebook, with rows marked on it; what is selected there comes back.

    Parameters
    ----------
    image
        Path of a FITS file, or address of a HiPS.
    rows
        A `Result`, or a table of Arrow, pandas or astropy, of at most 10,000 rows with a position; None for none.

    Raises
    ------
    RequestError
        There is no such image, or the rows cannot be marked on it.
    """
    from pachon_client.skyview import SkyViewer  # noqa: PLC0415 -- scripts that only ask need none of it

    return SkyViewer(image, rows)


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 -- IPython is optional
    """Give a notebook the magic `%%adql` and completion in its cells; `%load_ext pachon_client` calls this."""
    from pachon_client.extension import register  # noqa: PLC0415 -- IPython is optional

    register(shell)


@cache
def _session_client() -> Client:
    from pachon_client.client import Client  # noqa: PLC0415 -- see _HOMES

    return Client()
