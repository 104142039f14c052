"""The sky map as a person uses it: pan, zoom, go to a place, see single stars, select."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import RangesUpdate, SelectionGeometry

from pachon.portal import compute, plots
from pachon.portal.density import Grid, Picture, grid_of, paint, rows_in_view
from pachon.portal.graticule import Graticule, graticule
from pachon.portal.projection import View, project
from pachon.portal.state import Catalogue, Newest, Pools, Source, Tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.core.sky import Cone
    from pachon.portal.turn import Later
    from pachon_client import Result

POINTS_FROM = 5_000
_MOST_POINTS = 12_000
_POINT_MARGIN = 1.35
_SMALLEST, _LARGEST = 2.2, 11.0
_FIRST_SIZE = (1000, 500)
_WIDEST_FIELD_DEG = 150.0


@dataclass(frozen=True, slots=True)
class _Found:
    """Positions of a result, ICRS degrees, NaN where unknown, and which of them are selected; shape (rows,) each."""

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    chosen: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the rows of a result lie on the plane, NaN for those without position."""

    of: NDArray[np.float64]
    ra0_deg: float
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Marks:
    """Data of the marks of a result: single rows, or a picture of them, and some of those that are selected."""

    found: dict[str, Any]
    chosen: dict[str, Any]
    overlay: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Drawn:
    view: View
    grid: Grid
    picture: Picture
    lines: Graticule
    row_count: float
    places: _Places | None
    marks: _Marks


@dataclass(frozen=True, slots=True)
class _Points:
    """Single rows within a cone, kept while the view stays inside it."""

    table: str
    cone: Cone
    result: Result


class MapView:
    """Draws one catalogue; at most one redraw, one fetch of tiles and one look-up of rows are under way.

    Parameters
    ----------
    source, tiles
        Where rows and counts come from.
    pools
        Where work is done.
    turn
        Calls a function in the session's own turn.
    on_box
        Told the box that a person drew (ranges of x and y on the plane).
    on_change
        Told the picture and the count in view after each redraw.
    on_trouble
        Told what went wrong, in words.
    """

    def __init__(
        self,
        source: Source,
        tiles: Tiles,
        *,
        pools: Pools,
        turn: Later,
        on_box: Callable[[tuple[float, float], tuple[float, float]], None],
        on_change: Callable[[Picture, float], None],
        on_trouble: Callable[[BaseException], None],
    ) -> None:
        self._source = source
        self._tiles = tiles
        self._on_box = on_box
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._redraws = Newest(pools.drawing, turn)
        self._boxes = Newest(pools.drawing, turn)
        self._fetches = Newest(pools.collecting, turn)
        self._lookups = Newest(pools.asking, turn)
        self._catalogue: Catalogue | None = None
        self._points: _Points | None = None
        self._found: _Found | None = None
        self._places: _Places | None = None
        self._size: dict[str, int] = {}
        self.view = View.whole_sky(*_FIRST_SIZE)
        self.plot = plots.map_figure(self.view)
        self.plot.figure.on_event(RangesUpdate, self._ranges_changed)
        self.plot.figure.on_event(SelectionGeometry, self._box_drawn)
        for side in ("inner_width", "inner_height"):
            self.plot.figure.on_change(side, self._size_changed)

    def show_catalogue(self, catalogue: Catalogue) -> None:
        """Draw another catalogue at the same place."""
        self._catalogue = catalogue
        self._points = None
        self.redraw()

    def show(self, view: View) -> None:
        """Look elsewhere."""
        self.view = view
        x_range, y_range = self.plot.figure.x_range, self.plot.figure.y_range
        x_range.start, x_range.end = view.x_range
        y_range.start, y_range.end = view.y_range
        self.redraw()

    def go_to(self, ra_deg: float, dec_deg: float, *, field_deg: float) -> None:
        """Put a position in the middle, free of shear; a field too wide for that shows the whole sky."""
        size = {"width": self.view.width, "height": self.view.height}
        if field_deg >= _WIDEST_FIELD_DEG:
            self.show(View.whole_sky(**size, ra0_deg=ra_deg))
        else:
            self.show(View.around(ra_deg, dec_deg, field_deg=field_deg, **size).zoomed(1))

    def reset(self) -> None:
        """Show the whole sky, RA 0 in the middle."""
        self.show(View.whole_sky(self.view.width, self.view.height))

    def show_found(
        self, positions: tuple[NDArray[np.float64], NDArray[np.float64]] | None, chosen: NDArray[np.bool_] | None
    ) -> None:
        """Mark the rows of a result, and those of them that are selected."""
        self._found = None if positions is None else _Found(*positions, chosen)
        if positions is None:
            self._places = None
        self.redraw()

    def show_chosen(self, chosen: NDArray[np.bool_] | None) -> None:
        """Mark other rows of the result as selected."""
        if self._found is not None:
            self._found = replace(self._found, chosen=chosen)
            self.redraw()

    def find_in_box(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        then: Callable[[NDArray[np.bool_]], None],
    ) -> bool:
        """Call `then` with which rows of the result lie in a box on the plane; False if no result has positions."""
        found, known, ra0_deg = self._found, self._places, self.view.ra0_deg
        if found is None:
            return False

        def find() -> NDArray[np.bool_]:
            places = _places(found, known, ra0_deg=ra0_deg)
            return compute.in_box(places.x, places.y, x_range=x_range, y_range=y_range)

        self._boxes.ask(find, then, self._on_trouble)
        return True

    def redraw(self) -> None:
        """Draw what is at hand now; what is missing follows."""
        if self._catalogue is None:
            return
        table, view = self._catalogue.name, self.view
        found, known = self._found, self._places
        self._redraws.ask(lambda: self._draw(table, view, found, known), self._show_drawn, self._on_trouble)

    def _draw(self, table: str, view: View, found: _Found | None, known: _Places | None) -> _Drawn:
        grid = grid_of(view)
        picture = paint(grid, self._tiles.at_hand(table, grid.tile_order, grid.tiles))
        places = None if found is None else _places(found, known, ra0_deg=view.ra0_deg)
        marks = _marks(places, None if found is None else found.chosen, view)
        return _Drawn(view, grid, picture, graticule(view), rows_in_view(picture, grid, view), places, marks)

    def _show_drawn(self, drawn: _Drawn) -> None:
        view, picture = drawn.view, drawn.picture
        sources = self.plot.sources
        sources.image.data = plots.image_data(picture.image, view)
        sources.state.data = {"ra0": [view.ra0_deg]}
        sources.lines.data, sources.labels.data = plots.line_data(drawn.lines)
        if self._found is not None and drawn.places is not None and drawn.places.of is self._found.ra_deg:
            self._places = drawn.places
        self._show_marks(drawn.marks)
        self._on_change(picture, drawn.row_count)
        self._show_points(drawn)
        if not picture.is_complete:
            self._fetch(drawn.grid)

    def _fetch(self, grid: Grid) -> None:
        if self._catalogue is None:
            return
        table = self._catalogue.name
        coarse = () if grid.tile_order == 0 else tuple({tile >> 2 * grid.tile_order for tile in grid.tiles})

        def fetch() -> None:
            self._tiles.fetch(table, 0, coarse)
            self._tiles.fetch(table, grid.tile_order, grid.tiles)

        self._fetches.ask(fetch, lambda _: self.redraw(), self._on_trouble)

    def _show_points(self, drawn: _Drawn) -> None:
        cone = compute.cone_around(drawn.view, margin=1.0)
        few = drawn.picture.is_complete and drawn.row_count < POINTS_FROM and drawn.view.field_deg < 60  # noqa: PLR2004 -- degrees
        if self._catalogue is None or cone is None or not few:
            if len(self.plot.sources.points.data["x"]):
                self.plot.sources.points.data = {name: [] for name in self.plot.sources.points.data}
            return
        if self._covers(cone):
            self._draw_points()
            return
        catalogue = self._catalogue
        wide = replace(cone, radius_deg=min(180.0, cone.radius_deg * _POINT_MARGIN))
        query = compute.points_query(catalogue.table, wide)
        self._lookups.ask(
            lambda: _Points(catalogue.name, wide, self._source.query(query, _MOST_POINTS)),
            self._keep_points,
            self._on_trouble,
        )

    def _covers(self, cone: Cone) -> bool:
        kept = self._points
        if kept is None or self._catalogue is None or kept.table != self._catalogue.name:
            return False
        distance = math.degrees(_separation(kept.cone, cone))
        return distance + cone.radius_deg <= kept.cone.radius_deg

    def _keep_points(self, points: _Points) -> None:
        self._points = points
        self.redraw()

    def _draw_points(self) -> None:
        if self._points is None or self._catalogue is None:
            return
        self.plot.sources.points.data = point_data(self._points.result, self._catalogue, self.view)

    def _show_marks(self, marks: _Marks) -> None:
        sources = self.plot.sources
        sources.found.data, sources.chosen.data, sources.overlay.data = marks.found, marks.chosen, marks.overlay

    def _ranges_changed(self, event: RangesUpdate) -> None:
        scale = (event.x1 - event.x0) / self.view.width
        view = replace(self.view, x=(event.x0 + event.x1) / 2, y=(event.y0 + event.y1) / 2, scale=scale)
        inside = view.zoomed(1.0).moved(0, 0)
        if inside == view:
            self.view = view
            self.redraw()
        else:
            self.show(inside)

    def _size_changed(self, attr: str, old: object, new: object) -> None:
        del old
        self._size[attr] = int(str(new))
        if len(self._size) == 2:  # noqa: PLR2004 -- both sides are known
            width, height = self._size["inner_width"], self._size["inner_height"]
            if min(width, height) > 0 and (width, height) != (self.view.width, self.view.height):
                self.show(self.view.resized(width, height))

    def _box_drawn(self, event: SelectionGeometry) -> None:
        box = event.geometry
        if event.final and box.get("type") == "rect":
            self._on_box((box["x0"], box["x1"]), (box["y0"], box["y1"]))


def _places(found: _Found, known: _Places | None, *, ra0_deg: float) -> _Places:
    """Where rows lie on the plane, as known already or anew."""
    if known is not None and known.of is found.ra_deg and known.ra0_deg == ra0_deg:
        return known
    return _Places(found.ra_deg, ra0_deg, *project(found.ra_deg, found.dec_deg, ra0_deg=ra0_deg))


def _marks(places: _Places | None, chosen: NDArray[np.bool_] | None, view: View) -> _Marks:
    blank: dict[str, Any] = {"x": [], "y": []}
    if places is None:
        return _Marks(blank, blank, plots.no_image())
    x, y = places.x, places.y
    near = compute.in_box(x, y, x_range=view.x_range, y_range=view.y_range)
    is_picture = near.sum() > POINTS_FROM
    overlay = plots.no_image()
    if is_picture:
        shown = compute.rasterize(x, y, x_range=view.x_range, y_range=view.y_range, size=(view.width, view.height))
        overlay = plots.image_data(shown, view)
    picked = near & chosen if chosen is not None else np.zeros_like(near)
    some = np.flatnonzero(picked)[:: max(1, int(picked.sum()) // POINTS_FROM)]
    return _Marks(blank if is_picture else {"x": x[near], "y": y[near]}, {"x": x[some], "y": y[some]}, overlay)


def point_data(result: Result, catalogue: Catalogue, view: View) -> dict[str, Any]:
    """Data of the map's single points: bright ones are larger."""
    table = catalogue.table
    positions = compute.positions_of(result)
    if positions is None:
        return {name: [] for name in ("x", "y", "size", "name", "ra", "dec", "mag")}
    x, y = project(*positions, ra0_deg=view.ra0_deg)
    axes = compute.magnitude_axes(result.columns)
    magnitudes = compute.values_of(result, axes[0]) if axes else np.full(len(result), np.nan)
    labels = result.table.column(table.id_column).to_pylist() if table.id_column else [""] * len(result)
    return {
        "x": x,
        "y": y,
        "size": _sizes(magnitudes),
        "name": [str(label) for label in labels],
        "ra": positions[0],
        "dec": positions[1],
        "mag": [f"{value:.2f}" if math.isfinite(value) else "unknown" for value in magnitudes],
    }


def _sizes(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    known = magnitudes[np.isfinite(magnitudes)]
    if not known.size:
        return np.full(magnitudes.shape, 3.5)
    bright, faint = np.quantile(known, (0.005, 0.9))
    place = np.clip((faint - magnitudes) / max(faint - bright, 0.5), 0, 1)
    return np.where(np.isfinite(place), _SMALLEST + (_LARGEST - _SMALLEST) * place**1.5, _SMALLEST)


def _separation(first: Cone, second: Cone) -> float:
    """Radians between the centres of two cones."""
    a, b = math.radians(first.dec_deg), math.radians(second.dec_deg)
    half = math.sin(math.radians(first.ra_deg - second.ra_deg) / 2)
    haversine = math.sin((a - b) / 2) ** 2 + math.cos(a) * math.cos(b) * half**2
    return 2 * math.asin(min(1.0, math.sqrt(haversine)))
