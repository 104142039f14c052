"""A result as a person reads it: table, histogram and colour-magnitude plot, linked by one selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from bokeh.events import RangesUpdate, Reset, SelectionGeometry
from bokeh.models import CustomJS

from pachon.core.errors import UsageError
from pachon.portal import compute, plots
from pachon.portal.dress import button, stylesheet
from pachon.portal.filter_view import FilterView
from pachon.portal.range_view import Range, RangeView
from pachon.portal.result_words import question_html, selection_html, summary_html
from pachon.portal.state import Newest
from pachon.portal.table_view import TableView
from pachon.portal.viewed import Bound, ColourPlot, Viewed, rows_picked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.portal.compute import Axis, Histogram
    from pachon.portal.turn import Later
    from pachon_client import Result

_RASTER = (640, 380)
_UNFOLD = "document.body.classList.add('has-result')"


class ResultView:
    """Shows one result at a time; a selection in one place shows in all.

    Parameters
    ----------
    pool, turn
        Where all that takes longer with more rows is done, and the session's own turn.
    on_selection
        Told the selection (a mask of the rows, or None) when it changes.
    on_filter
        Called when other rows pass the filters.
    """

    def __init__(
        self,
        *,
        pool: Executor,
        turn: Later,
        on_selection: Callable[[NDArray[np.bool_] | None], None],
        on_filter: Callable[[], None],
    ) -> None:
        self._on_selection, self._on_filter = on_selection, on_filter
        self._turn = turn
        self._rasters, self._fits, self._counts, self._picks, self._sifts = (Newest(pool, turn) for _ in range(5))
        self.table = TableView(pool=pool, turn=turn)
        self.filters = FilterView(changed=self._filters_changed, turn=turn)
        self._result: Result | None = None
        self._kept: NDArray[np.bool_] | None = None
        self._selected: NDArray[np.bool_] | None = None
        self._bounds: tuple[Bound, ...] = ()
        self._framed: ColourPlot | None = None
        self._xy: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._axes: dict[str, Axis] = {}
        self.colour = plots.colour_figure()
        self.bars = plots.histogram_figure()
        self.colour.figure.on_event(SelectionGeometry, self._box_drawn)
        self.colour.figure.on_event(RangesUpdate, lambda _: self._draw_colour())
        self.colour.figure.on_event(Reset, lambda _: self._reset_colour())
        self.bars.figure.js_on_change("tags", CustomJS(code=_UNFOLD))
        self._make_widgets()

    def show(self, result: Result, *, adql: str, max_rows: int, seconds: float, downloads: Mapping[str, str]) -> None:
        """Show another result, nothing filtered or selected; `downloads` are its addresses by format."""
        self._result, self._xy, self._framed, self._kept = result, None, None, None
        self.bars.figure.tags = ["has a result"]
        self.table.show(result)
        self.filters.offer(result)
        self._choose_axes(result)
        self.summary.object = summary_html(result, max_rows=max_rows, seconds=seconds)
        self.question.object = question_html(adql, downloads)
        self.select(None)
        self._fit_colour()

    def put_aside(self, why: str) -> None:
        """Let the result go, and say why; the query stays."""
        self._result = self._selected = self._xy = self._kept = None
        self.table.show(None)
        self.filters.offer(None)
        self._axes = {}
        self._draw_bars()
        self._fit_colour()
        self.summary.object = f'<p class="banner banner-warning" role="status">{escape(why)}</p>'
        self.question.object = self.chosen.object = ""
        self.clear.visible = False
        nothing: dict[str, Any] = {"x": [], "y": []}
        self.colour.points.data = self.colour.chosen.data = nothing
        self.colour.image.data = self.colour.highlight.data = plots.no_image()

    @property
    def result(self) -> Result | None:
        """What is shown."""
        return self._result

    @property
    def kept(self) -> NDArray[np.bool_] | None:
        """Which rows pass the filters, shape (rows,); None for all of them."""
        return self._kept

    @property
    def selected(self) -> NDArray[np.bool_] | None:
        """Which rows are selected, shape (rows,); None for all of them."""
        return self._selected

    def viewed(self) -> Viewed:
        """What was done with the result; of rows selected in no range, `picked` is still to be told."""
        return Viewed(
            filters=self.filters.documents,
            sort=self.table.sort,
            bounds=self._bounds,
            colour=self._colour_plot(),
            bars=self._expression(self._bar),
        )

    def restore(self, viewed: Viewed) -> tuple[str, ...]:
        """Show the result as it was viewed; in words, what of that it has not."""
        missing = []
        if viewed.sort is not None and not self.table.sort_by(viewed.sort[0], falling=viewed.sort[1]):
            missing.append(f"column {viewed.sort[0]}, by which rows were sorted")
        wanted = [(self._bar, viewed.bars)]
        if viewed.colour is not None:
            wanted += [(self._x, viewed.colour.x), (self._y, viewed.colour.y)]
        labels = {axis.expression: label for label, axis in self._axes.items()}
        for widget, expression in wanted:
            if (label := labels.get(expression or "")) in widget.options and label is not None:
                widget.value = label
            elif expression is not None:
                missing.append(f"{expression}, which was plotted")
        self._framed = viewed.colour
        self._fit_colour()
        self.filters.show(viewed.filters)
        return (*missing, *self._restore_rows(viewed))

    def select(self, selected: NDArray[np.bool_] | None, bounds: tuple[Bound, ...] = ()) -> None:
        """Select some of the rows that pass, or with None all again; `bounds` tell by which ranges, if by some."""
        selected = compute.both(selected, self._kept)
        self._selected, self._bounds = selected, bounds
        self.table.select(self._kept if selected is None else selected)
        if selected is None:
            self.colour_range.show(())
            self.bar_range.show(())
        self._draw_bars()
        self._draw_colour()
        self.clear.visible = selected is not None
        self.chosen.object = f'<p class="selection-count" role="status">{self._selection()}</p>'
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
        self.colour_range = RangeView(2, select=self._colour_range_asked, turn=self._turn)
        self.bar_range = RangeView(1, select=self._bar_range_asked, turn=self._turn)
        self.colour_card = pn.Column(
            pn.FlexBox(self._x, self._y, margin=0),
            pn.pane.Bokeh(self.colour.figure, sizing_mode="stretch_width", margin=0),
            self.colour_range.form,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.bars_card = pn.Column(
            pn.FlexBox(self._bar, margin=0),
            pn.pane.Bokeh(self.bars.figure, sizing_mode="stretch_width", margin=0),
            self.bar_range.form,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _choose_axes(self, result: Result) -> None:
        magnitudes, colours = compute.magnitude_axes(result.columns), compute.colour_axes(result.columns)
        self._axes = {axis.label: axis for axis in (*magnitudes, *colours)}
        for widget, axes in ((self._x, colours), (self._y, magnitudes), (self._bar, (*magnitudes, *colours))):
            labels = [axis.label for axis in axes]
            kept = widget.value if widget.value in labels else (labels[0] if labels else None)
            widget.param.update(options=labels, value=kept)

    def _draw_bars(self) -> None:
        axis, result, kept, selected = self._axes.get(self._bar.value or ""), self._result, self._kept, self._selected
        self.bars.figure.visible = self.bar_range.form.visible = axis is not None
        if result is None or axis is None:
            return
        self.bar_range.name([axis.label])
        self._counts.ask(
            lambda: compute.histogram(compute.values_of(result, axis, among=kept), selected),
            lambda bins: self._show_bars(bins, axis),
            _raise,
        )

    def _show_bars(self, bins: Histogram, axis: Axis) -> None:
        figure = self.bars.figure
        self.bars.bars.data, self.bars.chosen.data = plots.histogram_data(bins)
        figure.x_range.start, figure.x_range.end = float(bins.edges[0]), float(bins.edges[-1])
        figure.y_range.start, figure.y_range.end = 0, max(1.0, 1.08 * float(bins.counts.max(initial=0)))
        figure.xaxis.axis_label = axis.title

    def _fit_colour(self, xy: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None) -> None:
        """Find the values of both axes anew; until they are there, boxes select among `xy`."""
        x_axis, y_axis = self._axes.get(self._x.value or ""), self._axes.get(self._y.value or "")
        result, kept = self._result, self._kept
        self._xy = xy
        self.colour.figure.visible = self.colour_range.form.visible = x_axis is not None and y_axis is not None
        if result is None or x_axis is None or y_axis is None:
            return
        self.colour_range.name([x_axis.label, y_axis.label])
        self._fits.ask(
            lambda: _fitted(result, x_axis, y_axis, among=kept),
            lambda fit: self._show_fit(fit, result, x_axis, y_axis),
            _raise,
        )

    def _reset_colour(self) -> None:
        self._framed = None
        self._fit_colour()

    def _show_fit(self, fit: _Fit, result: Result, x_axis: Axis, y_axis: Axis) -> None:
        if result is not self._result:
            return
        figure, self._xy = self.colour.figure, fit.xy
        framed = self._framed
        if framed is not None and (framed.x, framed.y) == (x_axis.expression, y_axis.expression):
            figure.x_range.start, figure.x_range.end = framed.x_range
            figure.y_range.end, figure.y_range.start = framed.y_range
        else:
            figure.x_range.start, figure.x_range.end = fit.x_range
            figure.y_range.end, figure.y_range.start = fit.y_range
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
            _raise,
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
        ranges = (box["x0"], box["x1"]), (box["y0"], box["y1"])
        selected = compute.in_box(*self._xy, x_range=ranges[0], y_range=ranges[1])
        self.select(selected, self._bounds_of((self._x, self._y), ranges))
        self.colour_range.show(ranges)

    def _colour_range_asked(self, ranges: Sequence[Range]) -> None:
        if self._xy is not None:
            self.select(compute.in_ranges(self._xy, ranges), self._bounds_of((self._x, self._y), ranges))

    def _bar_range_asked(self, ranges: Sequence[Range]) -> None:
        axis, result = self._axes.get(self._bar.value or ""), self._result
        if axis is None or result is None:
            return

        def picked(rows: NDArray[np.bool_] | None) -> None:
            if result is self._result:
                self.select(rows, self._bounds_of((self._bar,), ranges))

        self._picks.ask(lambda: compute.in_ranges([compute.values_of(result, axis)], ranges), picked, _raise)

    def _expression(self, widget: pn.widgets.Select) -> str | None:
        axis = self._axes.get(widget.value or "")
        return None if axis is None else axis.expression

    def _bounds_of(self, widgets: Sequence[pn.widgets.Select], ranges: Sequence[Range]) -> tuple[Bound, ...]:
        """The ranges that have an end, with what they are ranges of."""
        named = [(self._expression(widget), sorted(ends)) for widget, ends in zip(widgets, ranges, strict=True)]
        return tuple(
            Bound(name, float(low), float(high))
            for name, (low, high) in named
            if name and np.isfinite((low, high)).any()
        )

    def _colour_plot(self) -> ColourPlot | None:
        x, y, figure = self._expression(self._x), self._expression(self._y), self.colour.figure
        if x is None or y is None or self._xy is None:
            return None
        x_range, y_range = (float(figure.x_range.start), float(figure.x_range.end)), figure.y_range
        return ColourPlot(x, y, x_range, (float(y_range.end), float(y_range.start)))

    def _selection(self) -> str:
        result, kept = self._result, self._kept
        row_count = 0 if result is None else len(result) if kept is None else int(kept.sum())
        return selection_html(self._selected, row_count=row_count)

    def _filters_changed(self) -> None:
        """Sift anew; what ranges selected is found again among the rows that pass now, other rows stay if they do."""
        result, selected, bounds = self._result, self._selected, self._bounds
        if result is None:
            return
        if bounds:
            self._sift(lambda: _rows_within(result, bounds), bounds)
        else:
            self._sift(lambda: None if selected is None else selected.copy(), ())

    def _restore_rows(self, viewed: Viewed) -> tuple[str, ...]:
        """Apply the filters of a view, and select what it selects; in words, what of that the result has not."""
        result, bounds, picked = self._result, viewed.bounds, viewed.picked
        if result is None or not (viewed.filters or bounds or picked):
            return ()
        is_missing = not all(compute.axis_of(bound.expression, result.columns) for bound in bounds)
        if is_missing or (picked is not None and picked.column not in result.table.column_names):
            self._sift(lambda: None, ())
            return ("what its selection is made of",)
        self._sift(lambda: _rows_within(result, bounds) if picked is None else rows_picked(result, picked), bounds)
        return ()

    def _sift(self, select: Callable[[], NDArray[np.bool_] | None], bounds: tuple[Bound, ...]) -> None:
        """Apply the filters, and among the rows that pass select some."""
        result, documents, before = self._result, self.filters.documents, self._selected
        if result is None:
            return

        def sift() -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
            return compute.rows_passing(result, documents), select()

        def show(sifted: tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]) -> None:
            if result is self._result:
                kept, chosen = sifted
                is_untouched = self._selected is before
                self._show_sifted(kept)
                self.select(*((chosen, bounds) if is_untouched else (self._selected, self._bounds)))
                self._show_ranges(self._bounds)

        self._sifts.ask(sift, show, partial(self._not_sifted, result))

    def _show_sifted(self, kept: NDArray[np.bool_] | None) -> None:
        was_kept, self._kept = self._kept, kept
        result = self._result
        if result is None:
            return
        self.filters.tell(len(result) if kept is None else int(kept.sum()), of=len(result))
        if kept is not was_kept:
            self._framed = self._colour_plot() or self._framed
            self._fit_colour(self._xy)
            self._on_filter()

    def _not_sifted(self, result: Result, error: BaseException) -> None:
        """Show all rows, and say why they are not filtered."""
        if not isinstance(error, UsageError):
            raise error
        if result is self._result:
            self._show_sifted(None)
            self.filters.refuse(error.message)
            self.select(self._selected, self._bounds)

    def _show_ranges(self, bounds: tuple[Bound, ...]) -> None:
        by_name = {bound.expression: (bound.low, bound.high) for bound in bounds}
        for view, widgets in ((self.colour_range, (self._x, self._y)), (self.bar_range, (self._bar,))):
            names = [self._expression(widget) or "" for widget in widgets]
            if set(names) == set(by_name):
                view.name([widget.value for widget in widgets])
                view.show([by_name[name] for name in names])


@dataclass(frozen=True, slots=True)
class _Fit:
    """The values of two axes, shape (rows,) each, and the ranges that show them."""

    xy: tuple[NDArray[np.float64], NDArray[np.float64]]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def _fitted(result: Result, x_axis: Axis, y_axis: Axis, *, among: NDArray[np.bool_] | None) -> _Fit:
    x, y = (compute.values_of(result, axis, among=among) for axis in (x_axis, y_axis))
    return _Fit((x, y), compute.extent(x), compute.extent(y))


def _rows_within(result: Result, bounds: Sequence[Bound]) -> NDArray[np.bool_] | None:
    """Which rows lie in all bounds, shape (rows,); None, for all, where there are none."""
    axes = [compute.axis_of(bound.expression, result.columns) for bound in bounds]
    ranges = [(bound.low, bound.high) for bound in bounds]
    return compute.in_ranges([compute.values_of(result, axis) for axis in axes if axis is not None], ranges)


def _raise(error: BaseException) -> None:
    raise error
