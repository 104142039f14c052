"""Plots: pure functions from data to Bokeh figures and their data; nothing here asks for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import DocumentReady
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    CustomJS,
    HoverTool,
    LinearColorMapper,
    Model,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.plotting import figure

from pachon.portal import palette
from pachon.portal.palette import DARK, LIGHT
from pachon.portal.projection import HALF_HEIGHT, HALF_WIDTH

if TYPE_CHECKING:
    from bokeh.document import Document
    from numpy.typing import NDArray

    from pachon.portal.compute import Histogram
    from pachon.portal.density import Picture
    from pachon.portal.graticule import Graticule
    from pachon.portal.projection import View

RANGES_SETTLE_MS = 60
"""BokehJS tells of new ranges this long after the last turn of the wheel; its own default is 500 ms."""

POINT_LIMIT = 20_000
"""Above this many points a plot is drawn on the server."""

_FONT = "-apple-system, BlinkMacSystemFont, Segoe UI, Roboto, Noto Sans, Liberation Sans, sans-serif"

_CURSOR = """
const cell = document.getElementById('map-cursor');
if (!cell) return;
const theta = Math.asin(cb_obj.y / half_height);
const lon = -cb_obj.x * Math.PI / (half_width * Math.cos(theta));
if (!isFinite(theta) || Math.abs(lon) > Math.PI) { cell.textContent = '\u2013'; return; }
const dec = Math.asin((2 * theta + Math.sin(2 * theta)) / Math.PI) * 180 / Math.PI;
const ra = (((lon * 180 / Math.PI + state.data.ra0[0]) % 360) + 360) % 360;
const digits = (x_range.end - x_range.start) < 0.3 ? 4 : 2;
const sign = dec < 0 ? '\u2212' : '+';
cell.textContent = `RA ${ra.toFixed(digits)}\u00b0  Dec ${sign}${Math.abs(dec).toFixed(digits)}\u00b0`;
"""

_FOLLOW_SCHEME = """
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const apply = () => {
  for (const [model, name, light_value, dark_value] of styles) model[name] = dark.matches ? dark_value : light_value;
};
apply();
dark.addEventListener('change', apply);
"""

Style = tuple[Model, str, Any, Any]


@dataclass(frozen=True, slots=True)
class MapSources:
    """The data that the map draws; `state` tells the browser the middle meridian."""

    image: ColumnDataSource
    overlay: ColumnDataSource
    lines: ColumnDataSource
    labels: ColumnDataSource
    points: ColumnDataSource
    found: ColumnDataSource
    chosen: ColumnDataSource
    state: ColumnDataSource


@dataclass(frozen=True, slots=True)
class MapFigure:
    """The sky map and the data it draws."""

    figure: figure
    sources: MapSources


def map_figure(view: View) -> MapFigure:
    """An empty map: dark in both schemes, as the night sky is."""
    wheel, pan, box = WheelZoomTool(zoom_on_axis=False), PanTool(), BoxSelectTool(description="Select in a box")
    plot = figure(
        x_range=Range1d(*view.x_range),
        y_range=Range1d(*view.y_range),
        tools=[pan, box, wheel],
        active_drag=pan,
        active_scroll=wheel,
        toolbar_location=None,
        sizing_mode="stretch_both",
        min_border=0,
        outline_line_color=None,
        background_fill_color="#060a1c",
        border_fill_color="#060a1c",
        lod_threshold=None,
        name="sky",
    )
    plot.lod_timeout = RANGES_SETTLE_MS
    plot.axis.visible = False
    plot.grid.visible = False
    sources = _map_sources(view)
    _draw_map(plot, sources)
    cursor = {"half_width": HALF_WIDTH, "half_height": HALF_HEIGHT, "state": sources.state, "x_range": plot.x_range}
    plot.js_on_event("mousemove", CustomJS(args=cursor, code=_CURSOR))
    return MapFigure(plot, sources)


def _map_sources(view: View) -> MapSources:
    return MapSources(
        image=ColumnDataSource(no_image(), name="map-image"),
        overlay=ColumnDataSource(no_image()),
        lines=ColumnDataSource({"x": [], "y": []}),
        labels=ColumnDataSource({"x": [], "y": [], "text": []}),
        points=ColumnDataSource({"x": [], "y": [], "size": [], "name": [], "ra": [], "dec": [], "mag": []}),
        found=ColumnDataSource({"x": [], "y": []}),
        chosen=ColumnDataSource({"x": [], "y": []}),
        state=ColumnDataSource({"ra0": [view.ra0_deg]}),
    )


def _draw_map(plot: figure, sources: MapSources) -> None:
    for source, colours in ((sources.image, palette.SKY_PALETTE), (sources.overlay, palette.OVERLAY_PALETTE)):
        mapper = LinearColorMapper(palette=list(colours), low=0, high=len(colours) - 1)
        plot.image(image="image", x="x", y="y", dw="dw", dh="dh", source=source, color_mapper=mapper, level="image")
    plot.line(x="x", y="y", source=sources.lines, line_color="#ffffff", line_alpha=0.16, line_width=1)
    plot.text(
        x="x", y="y", text="text", source=sources.labels, text_color="#e3e8fb", background_fill_color="#060a1c",
        background_fill_alpha=0.66, padding=2, border_radius=3, text_font={"value": _FONT}, text_font_size="11px",
        x_offset=4, y_offset=-3,
    )  # fmt: skip
    stars = plot.scatter(
        x="x", y="y", size="size", source=sources.points, fill_color="#fff4d6", line_color=None, fill_alpha=0.95
    )
    ring = {"marker": "circle", "size": 8, "fill_color": None, "line_width": 1.5}
    plot.scatter(x="x", y="y", source=sources.found, line_color=palette.OVERLAY, line_alpha=0.9, **ring)
    plot.scatter(x="x", y="y", source=sources.chosen, line_color=palette.SELECTED, **ring)
    for renderer in plot.renderers:
        renderer.nonselection_glyph = None
    tips = [("", "@name"), ("RA, Dec", "@ra{0.00000}\N{DEGREE SIGN}, @dec{+0.00000}\N{DEGREE SIGN}"), ("mag", "@mag")]
    plot.add_tools(HoverTool(renderers=[stars], tooltips=tips, point_policy="snap_to_data"))


def no_image() -> dict[str, list[Any]]:
    """Data of an image source that shows nothing."""
    return {"image": [np.zeros((1, 1), dtype=np.uint8)], "x": [0.0], "y": [0.0], "dw": [1e-9], "dh": [1e-9]}


def image_data(image: NDArray[np.uint8], view: View) -> dict[str, list[Any]]:
    """Data of an image source for a picture that fills a view."""
    return {
        "image": [image],
        "x": [view.x_range[0]],
        "y": [view.y_range[0]],
        "dw": [view.scale * view.width],
        "dh": [view.scale * view.height],
    }


def line_data(lines: Graticule) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data of the graticule's lines and of its labels."""
    return {"x": lines.x, "y": lines.y}, {"x": lines.label_x, "y": lines.label_y, "text": lines.labels}


def legend_html(picture: Picture) -> str:
    """The colour bar with three densities, as HTML."""
    shown = [picture.levels[at] for at in (0, len(picture.levels) // 2, -1)]
    stops = ", ".join(palette.SKY_LEVELS[:: len(palette.SKY_LEVELS) // 12])
    marks = "".join(f"<span>{_round(value)}</span>" for value in shown)
    return (
        f'<div class="legend-bar" style="background: linear-gradient(90deg, {stops})"></div>'
        f'<div class="legend-marks">{marks}</div>'
    )


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004 -- two digits are enough


@dataclass(frozen=True, slots=True)
class ColourFigure:
    """The colour-magnitude plot and its data."""

    figure: figure
    image: ColumnDataSource
    highlight: ColumnDataSource
    points: ColumnDataSource
    chosen: ColumnDataSource
    styles: tuple[Style, ...]


def colour_figure() -> ColourFigure:
    """An empty colour-magnitude plot: faint stars below."""
    box = BoxSelectTool(description="Select in a box")
    wheel = WheelZoomTool(zoom_on_axis=False)
    plot = _plain_figure([box, PanTool(), wheel, ResetTool()], height=340, name="cmd")
    plot.toolbar.active_drag = box
    plot.toolbar.active_scroll = None
    image, marked = ColumnDataSource(no_image()), ColumnDataSource(no_image())
    points, chosen = ColumnDataSource({"x": [], "y": []}), ColumnDataSource({"x": [], "y": []})
    mappers = []
    for source, colours in ((image, LIGHT.density), (marked, palette.highlight(LIGHT))):
        mapper = LinearColorMapper(palette=list(colours), low=0, high=255)
        mappers.append(mapper)
        plot.image(image="image", x="x", y="y", dw="dw", dh="dh", source=source, color_mapper=mapper)
    dots = plot.scatter(x="x", y="y", source=points, size=4, line_color=None, fill_alpha=0.55, fill_color=LIGHT.first)
    marks = plot.scatter(x="x", y="y", source=chosen, size=5, line_color=None, fill_alpha=0.95, fill_color=LIGHT.second)
    for renderer in plot.renderers:
        renderer.nonselection_glyph = None
        renderer.selection_glyph = None
    styles: tuple[Style, ...] = (
        (mappers[0], "palette", list(LIGHT.density), list(DARK.density)),
        (mappers[1], "palette", list(palette.highlight(LIGHT)), list(palette.highlight(DARK))),
        (dots.glyph, "fill_color", LIGHT.first, DARK.first),
        (marks.glyph, "fill_color", LIGHT.second, DARK.second),
    )
    return ColourFigure(plot, image, marked, points, chosen, (*styles, *_frame_styles(plot)))


@dataclass(frozen=True, slots=True)
class HistogramFigure:
    """The histogram and its data."""

    figure: figure
    bars: ColumnDataSource
    chosen: ColumnDataSource
    styles: tuple[Style, ...]


def histogram_figure() -> HistogramFigure:
    """An empty histogram."""
    plot = _plain_figure([], height=340, name="histogram")
    plot.y_range.start = 0
    sources, renderers = [], []
    for colour, alpha in ((LIGHT.first, 0.75), (LIGHT.second, 1.0)):
        source = ColumnDataSource({"left": [], "right": [], "top": []})
        bars = plot.quad(
            left="left", right="right", top="top", bottom=0, source=source, fill_color=colour, fill_alpha=alpha,
            line_color=LIGHT.surface, line_width=1,
        )  # fmt: skip
        sources.append(source)
        renderers.append(bars)
    plot.yaxis.axis_label = "rows"
    styles: tuple[Style, ...] = (
        (renderers[0].glyph, "fill_color", LIGHT.first, DARK.first),
        (renderers[1].glyph, "fill_color", LIGHT.second, DARK.second),
        *((bars.glyph, "line_color", LIGHT.surface, DARK.surface) for bars in renderers),
    )
    return HistogramFigure(plot, sources[0], sources[1], (*styles, *_frame_styles(plot)))


def histogram_data(bins: Histogram) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data of all bars, and of the selected part of them."""
    sides = {"left": bins.edges[:-1], "right": bins.edges[1:]}
    return {**sides, "top": bins.counts}, {**sides, "top": bins.selected}


def follow_scheme(document: Document, styles: Sequence[Style]) -> None:
    """Colour models in the browser by its light or dark scheme, also when that changes."""
    document.js_on_event(
        DocumentReady, CustomJS(args={"styles": [list(style) for style in styles]}, code=_FOLLOW_SCHEME)
    )


def _plain_figure(tools: list[Any], *, height: int, name: str) -> figure:
    plot = figure(
        tools=tools,
        height=height,
        sizing_mode="stretch_width",
        toolbar_location="above" if tools else None,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        min_border_right=12,
        name=name,
    )
    plot.x_range, plot.y_range = Range1d(0, 1), Range1d(0, 1)
    plot.toolbar.logo = None
    plot.lod_timeout = RANGES_SETTLE_MS
    plot.axis.minor_tick_line_color = None
    plot.axis.major_tick_line_color = None
    plot.axis.axis_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    for text in ("axis_label_text_font", "major_label_text_font"):
        setattr(plot.axis, text, _FONT)
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.axis_label_text_font_size = "13px"
    return plot


def _frame_styles(plot: figure) -> list[Style]:
    styles: list[Style] = []
    for axis in plot.axis:
        styles.append((axis, "axis_label_text_color", LIGHT.muted, DARK.muted))
        styles.append((axis, "major_label_text_color", LIGHT.muted, DARK.muted))
    styles += [(grid, "grid_line_color", LIGHT.grid, DARK.grid) for grid in plot.grid]
    return styles
