"""Lines of equal right ascension and declination on a map of the sky, and where their values are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pachon_client.browsing.planes import SkyPlane, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS_DEG = (60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_LINES = 6
_SAMPLES = 17
_LINE_POINTS = 49
_MOST_LINES = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its points on the plane, shape (points, 2), NaN where it leaves the sky, and its value in words."""

    points: NDArray[np.float64]
    label: str
    is_meridian: bool


def graticule(plane: SkyPlane, window: Window) -> tuple[Line, ...]:
    """The lines that a window shows, at most six in each direction."""
    x, y = np.meshgrid(np.linspace(*window.x_range, _SAMPLES), np.linspace(*window.y_range, _SAMPLES))
    ra, dec = plane.unproject(x, y)
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        return ()
    low, high = float(dec[known].min()), float(dec[known].max())
    first, last = _span(ra[known])
    ra_step, dec_step = _step(last - first), _step(high - low)
    reach = ra_step if last - first < 360 - ra_step else 0.0
    lons = np.linspace(first - reach, last + reach, _LINE_POINTS)
    lats = np.linspace(max(-90, low - dec_step), min(90, high + dec_step), _LINE_POINTS)
    meridians = [
        Line(_points(plane, np.full(_LINE_POINTS, value), lats), _degrees(value % 360, ra_step), is_meridian=True)
        for value in _multiples(first, last, ra_step)
    ]
    parallels = [
        Line(_points(plane, lons, np.full(_LINE_POINTS, value)), _signed(value, dec_step), is_meridian=False)
        for value in _multiples(low, high, dec_step)
    ]
    return (*meridians[:_MOST_LINES], *parallels[:_MOST_LINES])


def _points(plane: SkyPlane, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of a line on the plane, with a gap where it leaves the map on one side and returns on the other."""
    points = np.stack(plane.project(ra, dec), axis=-1)
    jumps = np.hypot(*np.diff(points, axis=0).T) > 90  # noqa: PLR2004 -- degrees of the plane
    points[1:][jumps] = np.nan
    return points


def _span(ra: NDArray[np.float64]) -> tuple[float, float]:
    """The shortest arc that holds all right ascensions, degrees; its end may be beyond 360."""
    ordered = np.sort(ra)
    gaps = np.diff(np.append(ordered, ordered[0] + 360))
    widest = int(np.argmax(gaps))
    if gaps[widest] < 360 / _SAMPLES:
        return 0.0, 360.0
    first = ordered[(widest + 1) % len(ordered)]
    return float(first), float(first + 360 - gaps[widest])


def _step(span_deg: float) -> float:
    return float(next((step for step in reversed(_STEPS_DEG) if span_deg / step <= _LINES), _STEPS_DEG[0]))


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [float(number * step) for number in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _degrees(value: float, step: float) -> str:
    digits = max(0, -int(np.floor(np.log10(step))))
    return f"{value:.{digits}f}\N{DEGREE SIGN}"


def _signed(value: float, step: float) -> str:
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return f"{sign}{_degrees(abs(value), step)}"
