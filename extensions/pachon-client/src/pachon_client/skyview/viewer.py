"""A view of the sky as Python sees it: image, rows, and which of them are selected."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pachon_client.browsing.rows import Rows, quoted, result_of
from pachon_client.browsing.shapes import Picked
from pachon_client.errors import RequestError, SetupError
from pachon_client.result import Result
from pachon_client.skyview.image import image_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_MARKED = 10_000
PROGRAM = files("pachon_client.skyview") / "aladin" / "aladin.js"
"""Aladin Lite, where it was installed."""


class SkyViewer:
    """What `sky` shows.

    Parameters
    ----------
    image
        Path of a FITS file, or address of a HiPS.
    rows
        Rows to be marked: a `Result`, or a table of Arrow, pandas or astropy; None for none.
    """

    def __init__(self, image: str | Path, rows: Any = None) -> None:  # noqa: ANN401 -- tables of others
        self.image = image_of(image)
        self.rows = Rows(result_of(pa.table({}) if rows is None else rows))
        self.positions, self._numbers = _placed(self.rows)
        self._chosen: frozenset[int] = frozenset()

    @property
    def selection(self) -> Result:
        """The selected rows, in the order they came in; none if nothing is selected."""
        result = self.rows.result
        table = result.table.take(pa.array(sorted(self._chosen), pa.int64()))
        return Result(table=table, columns=result.columns, overflow=result.overflow, execution_id=result.execution_id)

    @property
    def adql(self) -> str:
        """The selection as an ADQL condition on columns of the result; empty if nothing is selected.

        Raises
        ------
        RequestError
            No column tells the rows apart, or more than 5,000 are selected.
        """
        return Picked.of(self.rows, self._chosen).adql() if self._chosen else ""

    def select(self, marks: Iterable[int]) -> None:
        """Select rows by the numbers of their marks, from 0."""
        wanted = list(marks)
        if not all(0 <= mark < len(self._numbers) for mark in wanted):
            raise RequestError(f"There are {len(self._numbers)} marks, counted from 0; others cannot be selected.")
        self._chosen = frozenset(int(self._numbers[mark]) for mark in wanted)

    @cached_property
    def widget(self) -> Any:  # noqa: ANN401 -- anywidget is optional
        """The widget itself, to be put into a layout of ipywidgets.

        Raises
        ------
        SetupError
            anywidget or Aladin Lite is missing.
        """
        try:
            from pachon_client.skyview.widget import SkyWidget  # noqa: PLC0415 -- optional
        except ImportError as error:
            raise SetupError("sky needs anywidget: pip install pachon-client[notebook].") from error
        if not PROGRAM.is_file():
            raise SetupError(
                "Aladin Lite is not installed with pachon-client: `make front` in the repository installs it."
            )
        return SkyWidget(self, PROGRAM.read_bytes())

    def _repr_mimebundle_(self, **more: Any) -> Any:  # noqa: ANN401 -- the display protocol of IPython
        shown = self.widget._repr_mimebundle_(**more)
        bundle = shown[0] if isinstance(shown, tuple) else shown
        return {**bundle, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return (
            f"<SkyViewer of {self.image.name} with {len(self._numbers):,} rows marked, {len(self._chosen):,} selected>"
        )


def _placed(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Positions (ICRS, degrees) of the rows that have one, shape (marks, 2), and which rows those are."""
    if rows.position is None:
        if len(rows):
            raise RequestError(
                "The rows have no position: there are no columns with the UCDs pos.eq.ra and pos.eq.dec."
            )
        return np.empty((0, 2)), np.empty(0, dtype=np.int64)
    positions = np.stack([rows.values(rows.axis(quoted(name))) for name in rows.position], axis=-1)
    known = np.flatnonzero(np.isfinite(positions).all(axis=1))
    if len(known) > MOST_MARKED:
        raise RequestError(
            f"{len(known):,} rows have a position; at most {MOST_MARKED:,} are marked on an image: select some first, "
            "for example with pachon_client.browse."
        )
    return np.ascontiguousarray(positions[known]), known
