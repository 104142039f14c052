"""Planes that rows are drawn on: two quantities, or the sky as a map; and what a shape drawn there means.

On a plane, x grows to the right and y upwards. A field on the sky is drawn by the zenithal equal-area projection (ZEA)
about its middle, so that poles and right ascension 0 are places like any other; rows all over the sky by plate carrée
(CAR).
Source: M. R. Calabretta and E. W. Greisen, A&A 395 (2002) 1077, sections 5.1.7 and 5.2.3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pachon_client.browsing.polygons import Point, area, simplified
from pachon_client.browsing.rows import Axis, Rows, quoted
from pachon_client.browsing.shapes import AnyOf, Box, Lasso, Range, Shape, SkyPolygon
from pachon_client.errors import RequestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIELD_DEG = 60.0
"""Rows within this of their middle are drawn as a field."""
_REACH_DEG = 80.0
"""A shape on a field reaches no farther than this from the middle: it stays within a hemisphere."""
_MOST_VERTICES, _MOST_SKY_VERTICES = 32, 64
_EDGE_PARTS = 8
_MARGIN = 0.04
_TYPICAL = (0.001, 0.999)
_SAMPLE = 100_000


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a plane in sight: left, right, low and high."""

    x_range: Range
    y_range: Range

    @property
    def corners(self) -> tuple[Point, ...]:
        """Counter-clockwise from below left."""
        (left, right), (low, high) = self.x_range, self.y_range
        return ((left, low), (right, low), (right, high), (left, high))


class Plane(ABC):
    """Where rows are drawn.

    Parameters
    ----------
    rows
        The rows.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @property
    @abstractmethod
    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where each row is, shape (rows,) each; NaN if nowhere."""

    @abstractmethod
    def box(self, window: Window) -> Shape:
        """What a box selects."""

    @abstractmethod
    def lasso(self, vertices: Sequence[Point]) -> Shape:
        """What a line drawn round rows selects."""

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """What the browser needs to know of it."""

    @cached_property
    def placed_count(self) -> int:
        """Rows that are somewhere on it."""
        x, y = self.points
        return int(np.count_nonzero(np.isfinite(x) & np.isfinite(y)))

    @cached_property
    def home(self) -> Window:
        """The window that shows all but the wildest rows, with a margin."""
        return Window(*(_extent(values) for values in self.points))


class QuantityPlane(Plane):
    """The plane of two quantities; magnitudes grow downwards."""

    def __init__(self, rows: Rows, x: Axis, y: Axis) -> None:
        super().__init__(rows)
        self.x, self.y = x, y

    @cached_property
    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where each row is, shape (rows,) each; NaN if nowhere."""
        x, y = self._rows.values(self.x), self._rows.values(self.y)
        return x, -y if self.y.is_magnitude else y

    def box(self, window: Window) -> Box:
        """What a box selects."""
        return Box(self.x, self.y, window.x_range, self.values_of(window.y_range))

    def lasso(self, vertices: Sequence[Point]) -> Lasso:
        """What a line drawn round rows selects."""
        drawn = _simple(vertices, _MOST_VERTICES)
        return Lasso(self.x, self.y, tuple((x, -y if self.y.is_magnitude else y) for x, y in drawn))

    def values_of(self, y_range: Range) -> Range:
        """A range of the plane as one of the quantity, and the other way round."""
        return (-y_range[1], -y_range[0]) if self.y.is_magnitude else y_range

    def document(self) -> dict[str, Any]:
        """What the browser needs to know of it."""
        return {
            "kind": "quantities",
            "x": {"title": self.x.title, "expression": self.x.expression, "inverted": False},
            "y": {"title": self.y.title, "expression": self.y.expression, "inverted": self.y.is_magnitude},
            "home": [*self.home.x_range, *self.home.y_range],
            "placed": self.placed_count,
        }


class SkyPlane(Plane):
    """A map of the sky, in degrees of the plane; north is up, east to the left.

    Parameters
    ----------
    projection
        FITS code.
    ra, dec
        Columns of the position.
    """

    projection: str

    def __init__(self, rows: Rows, ra: Axis, dec: Axis) -> None:
        super().__init__(rows)
        self.ra, self.dec = ra, dec

    @abstractmethod
    def project(
        self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Plane coordinates of positions (ICRS, degrees), any shape."""

    @abstractmethod
    def unproject(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (ICRS, degrees) of points of the plane; NaN off the sky."""

    @cached_property
    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where each row is, shape (rows,) each; NaN if nowhere."""
        return self.project(self._rows.values(self.ra), self._rows.values(self.dec))

    def document(self) -> dict[str, Any]:
        """What the browser needs to know of it."""
        home = [*self.home.x_range, *self.home.y_range]
        return {"kind": "sky", "projection": self.projection, "home": home, "placed": self.placed_count}


class FieldPlane(SkyPlane):
    """A field about its middle, by ZEA.

    Parameters
    ----------
    middle_deg
        Right ascension and declination of the middle.
    """

    projection = "ZEA"

    def __init__(self, rows: Rows, ra: Axis, dec: Axis, *, middle_deg: Point) -> None:
        super().__init__(rows, ra, dec)
        self._ra0, self._dec0 = (float(np.radians(each)) for each in middle_deg)

    def project(
        self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Plane coordinates of positions (ICRS, degrees), any shape."""
        lon, lat = np.radians(ra_deg) - self._ra0, np.radians(dec_deg)
        sine, cosine = np.sin(self._dec0), np.cos(self._dec0)
        east = np.cos(lat) * np.sin(lon)
        north = cosine * np.sin(lat) - sine * np.cos(lat) * np.cos(lon)
        up = sine * np.sin(lat) + cosine * np.cos(lat) * np.cos(lon)
        scale = np.degrees(np.sqrt(2 / np.maximum(1 + up, 1e-12)))
        return -east * scale, north * scale

    def unproject(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (ICRS, degrees) of points of the plane; NaN off the sky."""
        east, north = -np.radians(x), np.radians(y)
        squared = east**2 + north**2
        with np.errstate(invalid="ignore"):
            scale = np.sqrt(1 - squared / 4)
        up, east, north = 1 - squared / 2, east * scale, north * scale
        sine, cosine = np.sin(self._dec0), np.cos(self._dec0)
        lat = np.arcsin(np.clip(sine * up + cosine * north, -1, 1))
        lon = self._ra0 + np.arctan2(east, cosine * up - sine * north)
        return np.degrees(lon) % 360.0, np.degrees(lat)

    def box(self, window: Window) -> SkyPolygon:
        """What a box selects: a polygon that keeps to the drawn edges by vertices between the corners."""
        corners = np.asarray(window.corners)
        steps = np.arange(_EDGE_PARTS)[:, None] / _EDGE_PARTS
        edges = [a + (b - a) * steps for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
        return self._polygon([(float(x), float(y)) for x, y in np.concatenate(edges)])

    def lasso(self, vertices: Sequence[Point]) -> SkyPolygon:
        """What a line drawn round rows selects."""
        return self._polygon(_simple(vertices, _MOST_SKY_VERTICES))

    def _polygon(self, vertices: Sequence[Point]) -> SkyPolygon:
        x, y = np.asarray(vertices, dtype=np.float64).T
        reach = np.degrees(2 * np.sin(np.radians(_REACH_DEG) / 2))
        scale = np.minimum(1, reach / np.maximum(np.hypot(x, y), 1e-12))
        clipped = _simple(list(zip((x * scale).tolist(), (y * scale).tolist(), strict=True)), _MOST_SKY_VERTICES)
        ra, dec = self.unproject(*np.asarray(clipped).T)
        return SkyPolygon(self.ra, self.dec, tuple(zip(ra.tolist(), dec.tolist(), strict=True)))


class WholeSkyPlane(SkyPlane):
    """The whole sky by CAR, right ascension 0 in the middle: x is minus right ascension, y is declination."""

    projection = "CAR"

    def project(
        self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Plane coordinates of positions (ICRS, degrees), any shape."""
        return 180.0 - (ra_deg + 180.0) % 360.0, np.asarray(dec_deg, dtype=np.float64)

    def unproject(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (ICRS, degrees) of points of the plane; NaN off the sky."""
        on_sky = (np.abs(x) <= 180) & (np.abs(y) <= 90)  # noqa: PLR2004 -- the sphere in degrees
        return np.where(on_sky, -x % 360.0, np.nan), np.where(on_sky, y, np.nan)

    def box(self, window: Window) -> Shape:
        """What a box selects: ranges of right ascension and declination, two where it crosses right ascension 0."""
        low, high = np.clip(window.x_range, -180, 180).tolist()
        parts = tuple(Box(self.ra, self.dec, ends, window.y_range) for ends in self._ra_ranges(-high, -low))
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    def lasso(self, vertices: Sequence[Point]) -> Shape:
        """What a line drawn round rows selects: a polygon in right ascension and declination, twice across 0."""
        drawn = _simple(vertices, _MOST_VERTICES)
        ras = [-x for x, _ in drawn]
        turns = [360.0] if max(ras) <= 0 else [0.0] if min(ras) >= 0 else [0.0, 360.0]
        if self._is_signed:
            turns = [0.0]
        parts = tuple(Lasso(self.ra, self.dec, tuple((turn - x, y) for x, y in drawn)) for turn in turns)
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    @cached_property
    def _is_signed(self) -> bool:
        """Whether right ascensions of the rows are from -180 to 180 degrees rather than from 0 to 360."""
        values = self._rows.values(self.ra)
        return bool(np.nanmin(values, initial=0.0) < 0)

    def _ra_ranges(self, low: float, high: float) -> list[Range]:
        if self._is_signed or low >= 0:
            return [(low, high)]
        if high < 0:
            return [(low + 360.0, high + 360.0)]
        return [(low + 360.0, 360.0), (0.0, high)]


def sky_plane(rows: Rows) -> SkyPlane | None:
    """The map that fits the rows; None if they have no position, or none of them a known one."""
    if rows.position is None:
        return None
    ra, dec = (rows.axis(quoted(name)) for name in rows.position)
    lon, lat = np.radians(rows.values(ra)), np.radians(rows.values(dec))
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        return None
    lon, lat = lon[known], lat[known]
    towards = np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)
    middle = towards.mean(axis=0)
    length = float(np.linalg.norm(middle))
    if length == 0 or (towards @ middle).min() < length * np.cos(np.radians(_FIELD_DEG)):
        return WholeSkyPlane(rows, ra, dec)
    east, north, up = middle / length
    middle_deg = (float(np.degrees(np.arctan2(north, east))) % 360.0, float(np.degrees(np.arcsin(np.clip(up, -1, 1)))))
    return FieldPlane(rows, ra, dec, middle_deg=middle_deg)


def _simple(vertices: Sequence[Point], most: int) -> tuple[Point, ...]:
    drawn = simplified(vertices, most)
    if area(drawn) == 0:
        raise RequestError("The line encloses nothing; draw it round some rows.")
    return drawn


def _extent(values: NDArray[np.float64]) -> Range:
    sample = values[:: max(1, len(values) // _SAMPLE)]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(end) for end in np.quantile(finite, _TYPICAL))
    room = (high - low) * _MARGIN or max(abs(low) * 1e-3, 1e-3)
    return low - room, high + room
