"""What is browsed: rows, the two planes they are drawn on, their selection, and their order in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon_client.browsing.picture import Layer, Painter, Picture, Size
from pachon_client.browsing.planes import Plane, QuantityPlane, SkyPlane, Window, sky_plane
from pachon_client.browsing.polygons import Point
from pachon_client.browsing.rows import Rows
from pachon_client.browsing.selecting import Mode, Selection
from pachon_client.browsing.shapes import Judged, Range, Shape, shape_of
from pachon_client.errors import RequestError
from pachon_client.result import Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

Judge = Callable[[str], pa.ChunkedArray]

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
    judge
        Tells the identifiers of the rows for which the platform says that the view's condition in ADQL holds, given
        the name of their column.
    """

    def __init__(
        self,
        result: Result,
        *,
        x: str = "",
        y: str = "",
        view: Mapping[str, Any] | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.rows = Rows(result)
        self.selection = Selection()
        self.mask: NDArray[np.bool_] = np.zeros(len(self.rows), dtype=bool)
        self._in_shape = self.mask
        self.planes: dict[str, Plane] = {}
        self._windows: dict[str, Window] = {}
        self.sort: tuple[str, bool] | None = None
        self.remark = ""
        self._layers: dict[tuple[str, bool], Layer] = {}
        self._order: NDArray[np.int64] | None = None
        self._rest: Mapping[str, Any] = {}
        self.painter = Painter()
        if (sky := sky_plane(self.rows)) is not None:
            self.planes[SKY] = sky
        self._judge = judge
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
        self._windows.pop(PLOT, None)
        self._forget(PLOT)

    def draw(self, name: str, window: Window, *, size: Size) -> Picture:
        """A picture of a plane.

        Parameters
        ----------
        size
            Width and height, pixels.
        """
        layers = self._layer(name), self._layer(name, selected=True)
        self._windows[name] = window
        picture = self.painter.paint(*layers, window, size=size)
        self.painter.load_soon()
        return picture

    def plane(self, name: str) -> Plane:
        """`sky` or `plot`."""
        if name not in self.planes:
            raise RequestError(f"There is no plane '{name}' to draw on; there are: {', '.join(self.planes) or 'none'}.")
        return self.planes[name]

    def window(self, name: str) -> Window:
        """The window of a plane that was drawn last; at first what the view says, else all rows."""
        return self._windows.get(name) or self.plane(name).home

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
        self._rest = _without(self._rest, "sort")
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
            told["sky"] = {**(self._rest.get("sky") or {}), **place}
        return told

    def _plots(self) -> list[dict[str, Any]]:
        others = [plot for plot in self._rest.get("plots", ()) if plot["id"] != _PLOT_ID]
        plane = self.planes.get(PLOT)
        if not isinstance(plane, QuantityPlane):
            return others
        window = self.window(PLOT)
        low, high = plane.values_of(window.y_range)
        x = {"expression": plane.x.expression, "low": window.x_range[0], "high": window.x_range[1]}
        y = {"expression": plane.y.expression, "low": low, "high": high, "inverted": plane.y.is_magnitude}
        return [{"id": _PLOT_ID, "kind": "scatter", "x": x, "y": y}, *others]

    def _place(self) -> dict[str, Any] | None:
        plane = self.planes.get(SKY)
        if not isinstance(plane, SkyPlane):
            return None
        window = self.window(SKY)
        (left, right), (low, high) = window.x_range, window.y_range
        ra, dec = plane.unproject(np.array([(left + right) / 2]), np.array([(low + high) / 2]))
        if not (np.isfinite(ra[0]) and np.isfinite(dec[0])):
            return None
        field = min(_MOST_FIELD_DEG, right - left)
        return {"ra_deg": float(ra[0]), "dec_deg": float(dec[0]), "fov_deg": field, "projection": plane.projection}

    def _restore(self, view: Mapping[str, Any], x: str, y: str) -> None:
        """Begin with a view state; what of it is not shown is kept as it is."""
        self._rest = _without(view, "selection")
        plot: Mapping[str, Any] = next((each for each in view.get("plots") or () if each["id"] == _PLOT_ID), {})
        kept = [(plot.get(axis) or {}).get("expression", "") for axis in ("x", "y")]
        try:
            self.set_axes(x or kept[0], y or kept[1])
        except RequestError:
            if x or y:
                raise
            self.set_axes("", "")
        self._restore_windows(view.get("sky"), plot)
        sort: Sequence[Mapping[str, Any]] = view.get("sort") or []
        if len(sort) == 1 and sort[0]["column"] in self.rows.result.table.column_names:
            self.sort_by(sort[0]["column"], descending=bool(sort[0].get("descending")))
        if selection := view.get("selection"):
            self._restore_selection(selection)

    def _restore_windows(self, place: Mapping[str, Any] | None, plot: Mapping[str, Any]) -> None:
        sky, plane = self.planes.get(SKY), self.planes.get(PLOT)
        if place and isinstance(sky, SkyPlane):
            x, y = (float(at[0]) for at in sky.project(np.array([place["ra_deg"]]), np.array([place["dec_deg"]])))
            reach = place["fov_deg"] / 2
            self._windows[SKY] = Window((x - reach, x + reach), (y - reach, y + reach))
        if isinstance(plane, QuantityPlane) and (x_ends := _ends(plot, "x")) and (y_ends := _ends(plot, "y")):
            self._windows[PLOT] = Window(x_ends, plane.values_of(y_ends))

    def _restore_selection(self, selection: Mapping[str, Any]) -> None:
        try:
            self._take(Selection(shape_of(selection, self.rows) or self._judged(selection)))
        except RequestError as error:
            self._rest = {**self._rest, "selection": selection}
            self.remark = f"The saved selection is not shown, and kept until you select anew: {error}"

    def _judged(self, selection: Mapping[str, Any]) -> Judged:
        name = self.rows.identifier
        if self._judge is None or name is None:
            raise RequestError("It is a condition in ADQL, and no column tells the rows apart.")
        found = pc.is_in(self.rows.result.table.column(name), value_set=self._judge(name))
        return Judged(selection["condition"], frozenset(np.flatnonzero(found.to_numpy()).tolist()))

    def _select(self, shape: Shape, mode: Mode) -> None:
        self._take(self.selection.changed_by(shape, mode, self.rows))

    def _take(self, selection: Selection) -> None:
        if selection.shape is not self.selection.shape:
            self._in_shape = np.zeros_like(self.mask) if selection.shape is None else selection.shape.mask(self.rows)
        self.mask = selection.mask(self._in_shape)
        self.selection = selection
        self.remark = ""
        self._rest = _without(self._rest, "selection")
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


def _without(view: Mapping[str, Any], member: str) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name != member}


def _ends(plot: Mapping[str, Any], axis: str) -> Range | None:
    """The ends of an axis of a plot; None if it does not tell both, rising."""
    told = plot.get(axis) or {}
    low, high = told.get("low"), told.get("high")
    return (low, high) if low is not None and high is not None and low < high else None
