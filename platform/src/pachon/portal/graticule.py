"""Lines of equal right ascension and declination on the map, as many as its size bears, and their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pachon.portal.projection import project, unproject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.portal.projection import View

_STEPS_DEG = (30.0, 15.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
_LINES = 5
_POINTS = 121
_MARGINS_PIXELS = {"left": 14, "right": 56, "top": 56, "bottom": 62}
"""Where no label begins: it would be cut, or lie under the buttons and the count that stand on the map."""

_WHOLE_SKY_DEG = 100.0
_SEAM_DEG = 179.0
_NEAR_THE_MIDDLE_DEG = 10.0
_LABEL_PIXELS = (46, 18)


@dataclass(frozen=True, slots=True)
class Graticule:
    """All lines one after the other, NaN between them, and where each is labelled; on the plane."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    label_x: NDArray[np.float64]
    label_y: NDArray[np.float64]
    labels: list[str]


def graticule(view: View) -> Graticule:
    """The lines of a view, labelled inside it."""
    step = next((step for step in _STEPS_DEG if step * _LINES <= view.field_deg), _STEPS_DEG[-1])
    ra_low, ra_high, dec_low, dec_high = _bounds(view)
    decs = _multiples(max(dec_low, -90 + step), min(dec_high, 90 - step), step)
    ras = _multiples(ra_low, ra_high, step)
    along_ra, along_dec = np.linspace(ra_low, ra_high, _POINTS), np.linspace(dec_low, dec_high, _POINTS)
    ra = np.vstack([np.tile(along_ra, (decs.size, 1)), np.repeat(ras[:, None], _POINTS, axis=1)])
    dec = np.vstack([np.repeat(decs[:, None], _POINTS, axis=1), np.tile(along_dec, (ras.size, 1))])
    inside = np.clip(ra, view.ra0_deg - 180 + 1e-9, view.ra0_deg + 180 - 1e-9)
    x, y = project(inside, dec, ra0_deg=view.ra0_deg)
    is_meridian = np.arange(len(ra)) >= decs.size
    places = _label_places(view, x, y, ra=inside, dec=dec, is_meridian=is_meridian)
    texts = [*(_dec_text(value) for value in decs), *(_ra_text(value) for value in ras)]
    shown = _apart(x, y, places, scale=view.scale)
    at = places[shown]
    return Graticule(_joined(x), _joined(y), x[shown, at], y[shown, at], [texts[line] for line in shown])


def _label_places(
    view: View,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    is_meridian: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """For each line the point that bears its label, -1 where none is in view.

    On the whole sky, meridians are labelled on the equator and parallels on the middle meridian; closer, at the edge.
    The seam has no label: it is the map's outline.
    """
    room = {side: pixels * view.scale for side, pixels in _MARGINS_PIXELS.items()}
    in_view = (x > view.x_range[0] + room["left"]) & (x < view.x_range[1] - room["right"])
    in_view &= (y > view.y_range[0] + room["bottom"]) & (y < view.y_range[1] - room["top"])
    if view.field_deg > _WHOLE_SKY_DEG:
        distance = np.where(is_meridian[:, None], np.abs(dec), np.abs(ra - view.ra0_deg))
        in_view &= distance < _NEAR_THE_MIDDLE_DEG
    else:
        distance = np.where(is_meridian[:, None], np.arange(_POINTS), _POINTS - np.arange(_POINTS)).astype(float)
    in_view &= (np.abs(ra - view.ra0_deg) < _SEAM_DEG) | ~is_meridian[:, None]
    places = np.argmin(np.where(in_view, distance, np.inf), axis=1)
    return np.where(in_view.any(axis=1), places, -1)


def _apart(
    x: NDArray[np.float64], y: NDArray[np.float64], places: NDArray[np.int64], *, scale: float
) -> NDArray[np.int64]:
    """The lines whose label stands in view and not on the label of a line before."""
    taken: list[tuple[float, float]] = []
    shown = []
    for line in np.flatnonzero(places >= 0):
        across, up = float(x[line, places[line]] / scale), float(y[line, places[line]] / scale)
        if all(abs(across - a) >= _LABEL_PIXELS[0] or abs(up - b) >= _LABEL_PIXELS[1] for a, b in taken):
            taken.append((across, up))
            shown.append(line)
    return np.array(shown, dtype=np.int64)


def _joined(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([lines, np.full((len(lines), 1), np.nan)]).ravel()


def _dec_text(dec_deg: float) -> str:
    return f"{dec_deg:+g}\N{DEGREE SIGN}" if dec_deg else "0\N{DEGREE SIGN}"


def _ra_text(ra_deg: float) -> str:
    return f"{ra_deg % 360:g}\N{DEGREE SIGN}"


def _bounds(view: View) -> tuple[float, float, float, float]:
    """Lowest and highest RA and Dec that the view shows; RA runs on past 0 and 360, around the middle meridian."""
    everything = view.ra0_deg - 180, view.ra0_deg + 180, -90.0, 90.0
    corners = [
        unproject(float(x), float(y), ra0_deg=view.ra0_deg)
        for x in np.linspace(*view.x_range, 9)
        for y in np.linspace(*view.y_range, 9)
    ]
    inside = [corner for corner in corners if corner is not None]
    if len(inside) < len(corners):
        return everything
    ra = [(position[0] - view.ra0_deg + 180) % 360 - 180 + view.ra0_deg for position in inside]
    dec = [position[1] for position in inside]
    return min(ra), max(ra), min(dec), max(dec)


def _multiples(low: float, high: float, step: float) -> NDArray[np.float64]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return np.round(np.arange(first, last + 1) * step, 6)
