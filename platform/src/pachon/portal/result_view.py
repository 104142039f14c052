"""A result as a person reads it: table, histogram and colour-magnitude plot, linked by one selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from bokeh.events import RangesUpdate, Reset, SelectionGeometry
from bokeh.models import CustomJS

from pachon.portal import compute, plots
from pachon.portal.dress import button, stylesheet
from pachon.portal.state import Newest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.portal.compute import Axis
    from pachon.portal.turn import Later
    from pachon_client import Column, Result

_PAGE_ROWS = 15
_RASTER = (640, 380)
_UNFOLD = "document.body.classList.add('has-result')"


class ResultView:
    """Shows one result at a time; a selection in one place shows in all.

    Parameters
    ----------
    pool, turn
        Where dense plots are drawn, and the session's own turn.
    on_selection
        Told the selection (a mask of the rows, or None) when it changes.
    """

    def __init__(
        self,
        *,
        pool: Executor,
        turn: Later,
        on_selection: Callable[[NDArray[np.bool_] | None], None],
    ) -> None:
        self._on_selection = on_selection
        self._turn = turn
        self._rasters = Newest(pool, turn)
        self._result: Result | None = None
        self._selected: NDArray[np.bool_] | None = None
        self._xy: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._axes: dict[str, Axis] = {}
        self.colour = plots.colour_figure()
        self.bars = plots.histogram_figure()
        self.colour.figure.on_event(SelectionGeometry, self._box_drawn)
        self.colour.figure.on_event(RangesUpdate, lambda _: self._draw_colour())
        self.colour.figure.on_event(Reset, lambda _: self._fit_colour())
        self.bars.figure.js_on_change("tags", CustomJS(code=_UNFOLD))
        self._make_widgets()

    def show(self, result: Result, *, adql: str, max_rows: int, seconds: float, downloads: Mapping[str, str]) -> None:
        """Show another result, nothing selected; `downloads` are its addresses by format."""
        self._result = result
        self.bars.figure.tags = ["has a result"]
        self._choose_axes(result)
        self.summary.object = _summary(result, max_rows=max_rows, seconds=seconds)
        self.question.object = _question(adql, downloads)
        self.select(None)
        self._fit_colour()

    @property
    def result(self) -> Result | None:
        """What is shown."""
        return self._result

    def select(self, selected: NDArray[np.bool_] | None) -> None:
        """Select some rows, or with None all of them again."""
        self._selected = selected
        self._draw_table()
        self._draw_bars()
        self._draw_colour()
        self.clear.visible = selected is not None
        self.chosen.object = f'<p class="selection-count" role="status">{_selection(selected)}</p>'
        self._on_selection(selected)

    def _make_widgets(self) -> None:
        html: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "stylesheets": [stylesheet()]}
        self.summary, self.question, self.chosen = (pn.pane.HTML("", **html) for _ in range(3))
        self.chosen.sizing_mode = None
        self.clear = button(
            "Clear selection", lambda: self.select(None), turn=self._turn, visible=False, classes=["clear-selection"]
        )
        choice: dict[str, Any] = {"stylesheets": [stylesheet()], "margin": (0, 6, 6, 0), "options": [], "width": 176}
        self._x = pn.widgets.Select(label="Colour", **choice)
        self._y = pn.widgets.Select(label="Magnitude", **choice)
        self._bar = pn.widgets.Select(label="Histogram of", **choice)
        for widget, redraw in ((self._x, self._fit_colour), (self._y, self._fit_colour), (self._bar, self._draw_bars)):
            widget.param.watch(lambda _, redraw=redraw: self._turn(redraw), "value")
        self.colour_card = pn.Column(
            pn.FlexBox(self._x, self._y, margin=0),
            pn.pane.Bokeh(self.colour.figure, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )
        self.bars_card = pn.Column(
            pn.FlexBox(self._bar, margin=0),
            pn.pane.Bokeh(self.bars.figure, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )
        self.table = pn.Column(sizing_mode="stretch_width", margin=0)

    def _choose_axes(self, result: Result) -> None:
        magnitudes, colours = compute.magnitude_axes(result.columns), compute.colour_axes(result.columns)
        self._axes = {axis.label: axis for axis in (*magnitudes, *colours)}
        for widget, axes in ((self._x, colours), (self._y, magnitudes), (self._bar, (*magnitudes, *colours))):
            labels = [axis.label for axis in axes]
            kept = widget.value if widget.value in labels else (labels[0] if labels else None)
            widget.param.update(options=labels, value=kept)

    def _draw_table(self) -> None:
        if self._result is None:
            return
        frame = compute.table_frame(self._result, self._selected)
        self.table.objects = [
            pn.widgets.Tabulator(
                frame,
                pagination="remote",
                page_size=_PAGE_ROWS,
                disabled=True,
                theme="simple",
                layout="fit_data_fill",
                header_tooltips={column.name: _hint(column) for column in self._result.columns},
                titles={column.name: _title(column) for column in self._result.columns},
                sizing_mode="stretch_width",
                stylesheets=[stylesheet()],
                selectable=False,
                margin=0,
            )
        ]

    def _draw_bars(self) -> None:
        axis = self._axes.get(self._bar.value or "")
        figure = self.bars.figure
        figure.visible = axis is not None
        if self._result is None or axis is None:
            return
        bins = compute.histogram(compute.values_of(self._result, axis), self._selected)
        self.bars.bars.data, self.bars.chosen.data = plots.histogram_data(bins)
        figure.x_range.start, figure.x_range.end = float(bins.edges[0]), float(bins.edges[-1])
        figure.y_range.start, figure.y_range.end = 0, max(1.0, 1.08 * float(bins.counts.max(initial=0)))
        figure.xaxis.axis_label = axis.title

    def _fit_colour(self) -> None:
        x_axis, y_axis = self._axes.get(self._x.value or ""), self._axes.get(self._y.value or "")
        figure = self.colour.figure
        figure.visible = x_axis is not None and y_axis is not None
        if self._result is None or x_axis is None or y_axis is None:
            self._xy = None
            return
        x, y = compute.values_of(self._result, x_axis), compute.values_of(self._result, y_axis)
        self._xy = x, y
        figure.x_range.start, figure.x_range.end = compute.extent(x)
        figure.y_range.end, figure.y_range.start = compute.extent(y)
        figure.xaxis.axis_label, figure.yaxis.axis_label = x_axis.title, y_axis.title
        self._draw_colour()

    def _draw_colour(self) -> None:
        if self._xy is None:
            return
        x, y = self._xy
        selected = self._selected if self._selected is not None else np.zeros(x.size, dtype=bool)
        if x.size <= plots.POINT_LIMIT:
            shown = np.isfinite(x) & np.isfinite(y)
            self.colour.image.data = self.colour.highlight.data = plots.no_image()
            self.colour.points.data = {"x": x[shown], "y": y[shown]}
            self.colour.chosen.data = {"x": x[shown & selected], "y": y[shown & selected]}
            return
        figure = self.colour.figure
        ranges = {
            "x_range": (figure.x_range.start, figure.x_range.end),
            "y_range": (figure.y_range.end, figure.y_range.start),
        }
        self._rasters.ask(
            lambda: (
                compute.rasterize(x, y, size=_RASTER, **ranges),
                compute.rasterize(x[selected], y[selected], size=_RASTER, **ranges),
            ),
            lambda images: self._show_rasters(images, **ranges),
            lambda _: None,
        )

    def _show_rasters(
        self,
        images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        *,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
    ) -> None:
        nothing: dict[str, Any] = {"x": [], "y": []}
        self.colour.points.data = self.colour.chosen.data = nothing
        for source, image in zip((self.colour.image, self.colour.highlight), images, strict=True):
            source.data = {
                "image": [image],
                "x": [x_range[0]],
                "y": [y_range[0]],
                "dw": [x_range[1] - x_range[0]],
                "dh": [y_range[1] - y_range[0]],
            }

    def _box_drawn(self, event: SelectionGeometry) -> None:
        box = event.geometry
        if not event.final or self._xy is None or box.get("type") != "rect":
            return
        self.select(compute.in_box(*self._xy, x_range=(box["x0"], box["x1"]), y_range=(box["y0"], box["y1"])))


def _summary(result: Result, *, max_rows: int, seconds: float) -> str:
    rows = f"{len(result):,} row{'' if len(result) == 1 else 's'}"
    text = f'<p class="result-count"><strong>{rows}</strong> <span class="muted">in {seconds:.2f} s</span></p>'
    if result.overflow:
        text += (
            '<p class="banner banner-warning" role="status"><strong>There are more.</strong> <span>These are the first '
            f"{len(result):,}: the limit was {max_rows:,} rows. "
            "Raise it beside the search button, or ask for less.</span></p>"
        )
    if not len(result):
        text += '<p class="banner" role="status">Nothing matches. Try a larger radius, or another catalogue.</p>'
    return text


def _selection(selected: NDArray[np.bool_] | None) -> str:
    if selected is None:
        return '<span class="muted">Draw a box in the left plot, or with Select on the map, to pick rows.</span>'
    return f"{int(selected.sum()):,} of {selected.size:,} rows selected"


def _question(adql: str, downloads: Mapping[str, str]) -> str:
    links = "".join(
        f'<a class="button button-small button-quiet" href="{escape(address)}" download>Download {escape(title)}</a>'
        for title, address in downloads.items()
    )
    return (
        f'<div class="question"><div class="downloads">{links}</div>'
        f'<details><summary>The query</summary><pre class="copy" tabindex="0">{escape(adql)}</pre></details></div>'
    )


def _title(column: Column) -> str:
    return f"{column.name} [{column.unit}]" if column.unit else column.name


def _hint(column: Column) -> str:
    return ". ".join(part for part in (column.description, f"UCD {column.ucd}" if column.ucd else None) if part)
