"""What is browsed: rows, the two planes they are drawn on, their selection, and their order in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon_client.browsing.picture import Layer, Painter, Picture, Size
from pachon_client.browsing.planes import Plane, QuantityPlane, SkyPlane, Window, sky_plane
from pachon_client.browsing.polygons import Point
from pachon_client.browsing.rows import Rows
from pachon_client.browsing.selecting import Mode, Selection
from pachon_client.browsing.shapes import Shape, shape_of
from pachon_client.errors import RequestError
from pachon_client.result import Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

SKY, PLOT = "sky", "plot"
_SCHEMA_VERSION = "1.0"
_PLOT_ID = "colour-magnitude"
_SHOWN_MEMBERS = frozenset({"selection", "plots", "sky", "sort"})
_MOST_FIELD_DEG = 360.0


class Browsing:
    """One table that is looked at; without any part of a browser.

    Parameters
    ----------
    result
        The rows.
    x, y
        Quantities of the plot, such as `g_mag - r_mag`; empty for what fits the columns.
    view
        View state to begin with.
    """

    def __init__(self, result: Result, *, x: str = "", y: str = "", view: Mapping[str, Any] | None = None) -> None:
        self.rows = Rows(result)
        self.selection = Selection()
        self.mask: NDArray[np.bool_] = np.zeros(len(self.rows), dtype=bool)
        self._in_shape = self.mask
        self.planes: dict[str, Plane] = {}
        self.windows: dict[str, Window] = {}
        self.sort: tuple[str, bool] | None = None
        self.remark = ""
        self._layers: dict[tuple[str, bool], Layer] = {}
        self._order: NDArray[np.int64] | None = None
        self._rest: Mapping[str, Any] = {}
        self._painter = Painter()
        if (sky := sky_plane(self.rows)) is not None:
            self.planes[SKY] = sky
        self._restore(view or {}, x, y)

    def set_axes(self, x: str, y: str) -> None:
        """Plot other quantities; empty for what fits the columns.

        Raises
        ------
        RequestError
            There is no such column of numbers.
        """
        default = self.rows.default_axes()
        if default is None:
            if x or y:
                raise RequestError("A plot needs two columns of numbers, and the rows do not have them.")
            return
        axes = (self.rows.axis(given) if given else known for given, known in zip((x, y), default, strict=True))
        self.planes[PLOT] = QuantityPlane(self.rows, *axes)
        self.windows.pop(PLOT, None)
        self._forget(PLOT)

    def draw(self, name: str, window: Window, *, size: Size) -> Picture:
        """A picture of a plane.

        Parameters
        ----------
        size
            Width and height, pixels.
        """
        layers = self._layer(name), self._layer(name, selected=True)
        self.windows[name] = window
        picture = self._painter.paint(*layers, window, size=size)
        self._painter.load_in_background()
        return picture

    def plane(self, name: str) -> Plane:
        """`sky` or `plot`."""
        if name not in self.planes:
            raise RequestError(f"There is no plane '{name}' to draw on; there are: {', '.join(self.planes) or 'none'}.")
        return self.planes[name]

    def select_box(self, name: str, window: Window, mode: Mode) -> None:
        """Select the rows in a box on a plane."""
        self._select(self.plane(name).box(window), mode)

    def select_lasso(self, name: str, vertices: Sequence[Point], mode: Mode) -> None:
        """Select the rows that a line on a plane encloses."""
        self._select(self.plane(name).lasso(vertices), mode)

    def choose_row(self, number: int, *, chosen: bool) -> None:
        """Select one row more or less, by its number from 0."""
        if not 0 <= number < len(self.rows):
            raise RequestError(f"There is no row {number}; there are {len(self.rows)}, counted from 0.")
        self._take(self.selection.with_row(number, chosen=chosen, in_shape=bool(self._in_shape[number])))

    def clear(self) -> None:
        """Select nothing."""
        self._take(Selection())

    def sort_by(self, column: str | None, *, descending: bool = False) -> None:
        """List rows by a column, nulls last; None for the order they came in."""
        names = self.rows.result.table.column_names
        if column is not None and column not in names:
            raise RequestError(f"The rows have no column '{column}' to sort by.")
        self.sort = None if column is None else (column, descending)
        self._order = None
        if column is not None:
            keys = [(column, "descending" if descending else "ascending")]
            order = pc.sort_indices(self.rows.result.table.select([column]), sort_keys=keys)
            self._order = np.asarray(order, dtype=np.int64)

    def listed(self, *, selected_only: bool) -> NDArray[np.int64]:
        """Numbers of the rows in the order of the table."""
        order = self._order if self._order is not None else np.arange(len(self.rows))
        return order[self.mask[order]] if selected_only else order

    def selected(self) -> Result:
        """The selected rows, in the order they came in."""
        result = self.rows.result
        table = result.table.filter(pa.array(self.mask))
        return Result(table=table, columns=result.columns, overflow=result.overflow, execution_id=result.execution_id)

    def document(self) -> dict[str, Any]:
        """The view state, as saved queries keep it; see the reference of saved queries."""
        told: dict[str, Any] = {"schema_version": _SCHEMA_VERSION, **self._rest}
        if (selection := self.selection.document(self.rows)) is not None:
            told["selection"] = selection
        if self.sort is not None:
            told["sort"] = [{"column": self.sort[0], "descending": self.sort[1]}]
        plots = self._plots()
        if plots:
            told["plots"] = plots
        if (place := self._place()) is not None:
            told["sky"] = place
        return told

    def _plots(self) -> list[dict[str, Any]]:
        others = [plot for plot in self._rest.get("plots", ()) if plot["id"] != _PLOT_ID]
        plane = self.planes.get(PLOT)
        if not isinstance(plane, QuantityPlane):
            return others
        window = self.windows.get(PLOT, plane.home)
        low, high = plane.values_of(window.y_range)
        x = {"expression": plane.x.expression, "low": window.x_range[0], "high": window.x_range[1]}
        y = {"expression": plane.y.expression, "low": low, "high": high, "inverted": plane.y.is_magnitude}
        return [{"id": _PLOT_ID, "kind": "scatter", "x": x, "y": y}, *others]

    def _place(self) -> dict[str, Any] | None:
        plane = self.planes.get(SKY)
        if not isinstance(plane, SkyPlane):
            return None
        window = self.windows.get(SKY, plane.home)
        (left, right), (low, high) = window.x_range, window.y_range
        ra, dec = plane.unproject(np.array([(left + right) / 2]), np.array([(low + high) / 2]))
        if not (np.isfinite(ra[0]) and np.isfinite(dec[0])):
            return None
        field = min(_MOST_FIELD_DEG, right - left)
        return {"ra_deg": float(ra[0]), "dec_deg": float(dec[0]), "fov_deg": field, "projection": plane.projection}

    def _restore(self, view: Mapping[str, Any], x: str, y: str) -> None:
        """Begin with a view state; what of it is not shown is kept as it is."""
        self._rest = {name: value for name, value in view.items() if name not in {"selection", "sort", "sky"}}
        plot: Mapping[str, Any] = next((each for each in view.get("plots") or () if each["id"] == _PLOT_ID), {})
        kept = [(plot.get(axis) or {}).get("expression", "") for axis in ("x", "y")]
        try:
            self.set_axes(x or kept[0], y or kept[1])
        except RequestError:
            if x or y:
                raise
            self.set_axes("", "")
        sort: Sequence[Mapping[str, Any]] = view.get("sort") or []
        if len(sort) == 1 and sort[0]["column"] in self.rows.result.table.column_names:
            self.sort_by(sort[0]["column"], descending=bool(sort[0].get("descending")))
        if selection := view.get("selection"):
            self._restore_selection(selection)

    def _restore_selection(self, selection: Mapping[str, Any]) -> None:
        try:
            shape = shape_of(selection, self.rows)
        except RequestError as error:
            self.remark = str(error)
            return
        if shape is None:
            self._rest = {**self._rest, "selection": selection}
            self.remark = "The saved selection is a condition in ADQL: it stays with the query until you select anew."
            return
        self._take(Selection(shape))

    def _select(self, shape: Shape, mode: Mode) -> None:
        self._take(self.selection.changed_by(shape, mode, self.rows))

    def _take(self, selection: Selection) -> None:
        if selection.shape is not self.selection.shape:
            self._in_shape = np.zeros_like(self.mask) if selection.shape is None else selection.shape.mask(self.rows)
        self.mask = selection.mask(self._in_shape)
        self.selection = selection
        self.remark = ""
        self._rest = {name: value for name, value in self._rest.items() if name != "selection"}
        for name in self.planes:
            self._layers.pop((name, True), None)

    def _layer(self, name: str, *, selected: bool = False) -> Layer:
        key = (name, selected)
        if key not in self._layers:
            x, y = self.plane(name).points
            self._layers[key] = Layer(x[self.mask], y[self.mask]) if selected else Layer(x, y)
        return self._layers[key]

    def _forget(self, name: str) -> None:
        for selected in (False, True):
            self._layers.pop((name, selected), None)
