"""A table, a map of the sky and a plot of the same rows, linked by one selection, in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import pyarrow as pa

from pachon_client.browsing.model import Browsing
from pachon_client.browsing.rows import result_of
from pachon_client.errors import RequestError, SetupError
from pachon_client.result import Result
from pachon_client.saved_query import Query
from pachon_client.view import View

Keep = Callable[[Result, str, dict[str, Any]], Query]


class Browser:
    """What `browse` shows. Every cell that reads it has the selection of that moment.

    Parameters
    ----------
    source
        A saved query, a `Result`, or a table of Arrow, pandas or astropy.
    keep
        Saves a result that has no query yet, with a name and a view state.
    x, y
        Quantities of the plot, such as `g_mag - r_mag`; empty for what fits the columns.
    """

    def __init__(self, source: Any, *, keep: Keep, x: str = "", y: str = "") -> None:  # noqa: ANN401 -- tables of others
        self.query: Query | None = source if isinstance(source, Query) else None
        self._keep = keep
        rows = source.result() if isinstance(source, Query) else result_of(source)
        view = source.view.document if isinstance(source, Query) else None
        self._browsing = Browsing(rows, x=x, y=y, view=view, judge=self._judge)

    @property
    def rows(self) -> Result:
        """All rows."""
        return self._browsing.rows.result

    @property
    def selection(self) -> Result:
        """The selected rows, in the order they came in; none if nothing is selected."""
        return self._browsing.selected()

    @property
    def adql(self) -> str:
        """The selection as an ADQL condition on columns of the result; empty if nothing is selected.

        Raises
        ------
        RequestError
            Rows were picked one by one, and no column tells them apart.
        """
        return self._browsing.selection.adql(self._browsing.rows)

    @property
    def view(self) -> View:
        """Selection, order, plot and place on the sky as the view state of a saved query."""
        return View(self._browsing.document())

    def save(self, name: str = "") -> Query:
        """Save what is seen as the view of the query, so that the Portal and colleagues open the same.

        Parameters
        ----------
        name
            A new name of the query; empty leaves it. Rows without a query yet become one of that name.

        Raises
        ------
        StaleError
            Others changed the query since it was read.
        RequestError
            The rows did not come from this platform, or the selection cannot be written down.
        """
        document = dict(self.view.document)
        if self.query is not None:
            changes: dict[str, Any] = {"view": document} | ({"name": name} if name else {})
            return self.query.edit(note="Selected in a notebook", **changes)
        if not self.rows.execution_id:
            raise RequestError("These rows are of no query of the platform: save a query, and browse that.")
        self.query = self._keep(self.rows, name, document)
        return self.query

    def _judge(self, column: str) -> pa.ChunkedArray:
        """Values of a column in the rows that the saved view shows."""
        query = self.query
        if query is None or query.view.filters:
            raise RequestError("It is a condition in ADQL beside filters of rows, which are not told apart here.")
        return query.result(shown=True, columns=[column]).table.column(column)

    @cached_property
    def widget(self) -> Any:  # noqa: ANN401 -- anywidget is optional
        """The widget itself, to be put into a layout of ipywidgets.

        Raises
        ------
        SetupError
            anywidget or Datashader is missing.
        """
        missing = [name for name in ("anywidget", "datashader") if find_spec(name) is None]
        if missing:
            raise SetupError(f"browse needs {' and '.join(missing)}: pip install pachon-client[notebook].")
        from pachon_client.browsing.widget import BrowseWidget  # noqa: PLC0415 -- optional

        return BrowseWidget(self._browsing)

    def _repr_mimebundle_(self, **more: Any) -> Any:  # noqa: ANN401 -- the display protocol of IPython
        shown = self.widget._repr_mimebundle_(**more)
        bundle = shown[0] if isinstance(shown, tuple) else shown
        return {**bundle, "text/plain": repr(self), "text/html": self.rows.to_html()}

    def __repr__(self) -> str:
        return f"<Browser of {len(self.rows):,} rows, {int(self._browsing.mask.sum()):,} selected>"
