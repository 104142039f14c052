"""HEALPix pixels of positions and of small discs in plain numpy, for processes that must start within milliseconds.

Each of the 12 base pixels is a unit square with coordinates x to the north-east and y to the north-west (Górski et al.
2005, ApJ 622, 759, section 5; nested scheme, section 4.1). The coordinates of a base pixel are continued over its
border, so that the part of a disc inside it lies within a box whose size follows from the steepest slope of the map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FINEST_ORDER = 29
WIDEST_DISC_DEG = 12.0
"""Discs up to this radius are covered by some pixels near them; larger ones by the whole sky."""
_FINEST_COVER = 20
_SMALL_DISC_DEG = 5.0 / 3600
_REACH = 0.5
_REACH_OF_SMALL = 0.125
_STEEPEST = 1.5
_STEEPEST_NEAR_EQUATOR = 1.03
_STEEPEST_OUTSIDE = 2.7
_STEEPEST_TO_POLE = math.sqrt(6.0) / 2
_CAP = 2.0 / 3
_CAP_DEC_DEG = 41.8
_SLACK = 1e-12
_FACES = range(12)

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Positions:
    """Positions as the map needs them.

    Parameters
    ----------
    quarters
        Right ascension in quarter turns, [0, 4).
    z
        Sine of the declination.
    sigma
        Distance from the nearer pole in the map: 0 at the pole, 1 where the cap ends, more outside.
    """

    quarters: _Floats
    z: _Floats
    sigma: _Floats

    def take(self, rows: _Integers) -> _Positions:
        return _Positions(self.quarters[rows], self.z[rows], self.sigma[rows])


def pixel_of(ra_deg: _Floats, dec_deg: _Floats) -> _Integers:
    """Order 29 nested pixel of each position (ICRS degrees, shape (n,)); -1 where a coordinate is not finite."""
    valid = np.isfinite(ra_deg) & np.isfinite(dec_deg)
    positions = _positions(np.where(valid, ra_deg, 0.0), np.where(valid, dec_deg, 0.0))
    face = _face(positions)
    side = 1 << FINEST_ORDER
    x, y = (np.clip((each * side).astype(np.int64), 0, side - 1) for each in _chart(face, positions))
    return np.where(valid, _nested(face, x, y, np.int64(FINEST_ORDER)), -1)


def orders_for(radius_deg: _Floats) -> _Integers:
    """The orders at which discs touch a few pixels each, none of them much larger than they need; shape of the input.

    Radii (degrees) are finite and not negative.
    """
    reach = np.where(radius_deg <= _SMALL_DISC_DEG, _REACH_OF_SMALL, _REACH)
    slope = _STEEPEST * np.radians(np.maximum(radius_deg, 1e-9))
    return np.asarray(np.clip(np.floor(np.log2(reach / slope)), 0, _FINEST_COVER).astype(np.int64))


def disc_pixels(
    ra_deg: _Floats, dec_deg: _Floats, radius_deg: _Floats, orders: _Integers
) -> tuple[_Integers, _Integers]:
    """Nested pixels, each at the order of its disc, that hold every position within (or at) a radius of a centre.

    Parameters
    ----------
    ra_deg, dec_deg, radius_deg
        Discs, ICRS degrees, shape (n,). One that is not finite, or whose radius is negative, has no pixels.
    orders
        For each disc, shape (n,): `orders_for` gives those of few pixels.

    Returns
    -------
    rows, pixels
        Numbers of the discs, ascending, and their pixels, both of shape (m,); no pixel twice for a disc.
    """
    valid = np.isfinite(ra_deg) & np.isfinite(dec_deg) & (radius_deg >= 0)
    rows = np.flatnonzero(valid)
    wide = radius_deg[rows] > WIDEST_DISC_DEG
    found = [_everywhere(rows[wide], orders[rows[wide]]), _nearby(rows[~wide], ra_deg, dec_deg, radius_deg, orders)]
    numbers, pixels = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(numbers, kind="stable")
    return numbers[order], pixels[order]


def _everywhere(rows: _Integers, orders: _Integers) -> tuple[_Integers, _Integers]:
    """All pixels for each row."""
    counts = 12 << 2 * orders
    return np.repeat(rows, counts), _count_up(counts)


def _nearby(
    rows: _Integers, ra_deg: _Floats, dec_deg: _Floats, radius_deg: _Floats, orders: _Integers
) -> tuple[_Integers, _Integers]:
    ra_deg, dec_deg, orders = ra_deg[rows], dec_deg[rows], orders[rows]
    positions, radius = _positions(ra_deg, dec_deg), np.radians(radius_deg[rows])
    near_equator = np.abs(dec_deg) + radius_deg[rows] < _CAP_DEC_DEG
    reach = radius * np.where(near_equator, _STEEPEST_NEAR_EQUATOR, _STEEPEST) + _SLACK
    face = _face(positions)
    x, y = _chart(face, positions)
    inside = (np.minimum(x, y) > reach) & (np.maximum(x, y) < 1 - reach)
    own, on_border = np.flatnonzero(inside), np.flatnonzero(~inside)
    boxes = [
        (own, face[own], x[own] - reach[own], x[own] + reach[own], y[own] - reach[own], y[own] + reach[own]),
        *_border_boxes(on_border, positions.take(on_border), radius[on_border]),
    ]
    which, faces, *sides = (np.concatenate(each) for each in zip(*boxes, strict=True))
    numbers, pixels = _in_boxes(which, faces, sides, orders[which])
    return rows[numbers], pixels


_Box = tuple[_Integers, _Integers, _Floats, _Floats, _Floats, _Floats]


def _border_boxes(rows: _Integers, positions: _Positions, radius: _Floats) -> list[_Box]:
    """For discs that may reach over the border of their base pixel: a box in each base pixel that they may touch."""
    return [_border_box(face, rows, positions, radius) for face in _FACES] if len(rows) else []


def _border_box(face: int, rows: _Integers, positions: _Positions, radius: _Floats) -> _Box:
    faces = np.full(len(rows), face)
    x, y = _chart(faces, positions)
    reach = radius * _STEEPEST_OUTSIDE + _SLACK
    left, right, low, high = x - reach, x + reach, y - reach, y + reach
    touched = (right >= 0) & (left <= 1) & (high >= 0) & (low <= 1)
    if face // 4 != 1:
        beyond, to_pole = _beyond_pole(face, positions, radius)
        far = positions.sigma + to_pole
        edges = (1 - far, np.ones_like(far)) if face < 4 else (np.zeros_like(far), far)  # noqa: PLR2004 -- the north
        left, low = (np.where(beyond, edges[0], side) for side in (left, low))
        right, high = (np.where(beyond, edges[1], side) for side in (right, high))
        touched = np.where(beyond, positions.sigma <= to_pole, touched)
    keep = np.flatnonzero(touched)
    return rows[keep], faces[keep], left[keep], right[keep], low[keep], high[keep]


def _beyond_pole(face: int, positions: _Positions, radius: _Floats) -> tuple[NDArray[np.bool_], _Floats]:
    """Which discs lie in the cap of a base pixel, more than a quarter turn from it; and how far they reach to the pole.

    Such a disc touches the base pixel only if it holds the pole.
    """
    north = face < 4  # noqa: PLR2004 -- four base pixels in the north
    in_cap = (positions.z if north else -positions.z) >= _CAP
    far = np.abs(_turned(positions.quarters, face % 4 + 0.5)) > 1.5  # noqa: PLR2004 -- see the docstring
    return in_cap & far, radius * _STEEPEST_TO_POLE + _SLACK


def _in_boxes(
    rows: _Integers, faces: _Integers, sides: list[_Floats], orders: _Integers
) -> tuple[_Integers, _Integers]:
    """The pixels that boxes meet, clipped to their base pixels."""
    side = np.int64(1) << orders
    left, right, low, high = (np.clip(np.floor(each * side), 0, side - 1).astype(np.int64) for each in sides)
    width = right - left + 1
    counts = width * (high - low + 1)
    box, place = np.repeat(np.arange(len(rows)), counts), _count_up(counts)
    x, y = left[box] + place % width[box], low[box] + place // width[box]
    return rows[box], _nested(faces[box], x, y, orders[box])


def _count_up(counts: _Integers) -> _Integers:
    """0, 1, ... for each count."""
    stops = np.cumsum(counts)
    return np.arange(stops[-1] if len(stops) else 0) - np.repeat(stops - counts, counts)


def _positions(ra_deg: _Floats, dec_deg: _Floats) -> _Positions:
    """Positions whose declination is beyond a pole lie on the other side of it."""
    over = np.abs(dec_deg) > 90  # noqa: PLR2004 -- a pole
    if over.any():
        turned = np.mod(dec_deg + 180, 360) - 180
        back = np.abs(turned) > 90  # noqa: PLR2004 -- a pole
        dec_deg = np.where(over, np.where(back, np.copysign(180.0, turned) - turned, turned), dec_deg)
        ra_deg = np.where(over & back, ra_deg + 180, ra_deg)
    quarters = np.mod(ra_deg / 90, 4)
    quarters = np.where(quarters >= 4, 0.0, quarters)  # noqa: PLR2004 -- a tiny negative angle rounds to a whole turn
    sigma = math.sqrt(6.0) * np.sin(np.radians(90 - np.abs(dec_deg)) / 2)
    return _Positions(quarters, np.sin(np.radians(dec_deg)), sigma)


def _turned(quarters: _Floats, middle: float | _Floats) -> _Floats:
    """Quarter turns east of a meridian, [-2, 2)."""
    return np.mod(quarters - middle + 2, 4) - 2


def _face(positions: _Positions) -> _Integers:
    """The base pixel of each position (Górski et al., section 4.1, eq. 5 to 8)."""
    quarter = positions.quarters.astype(np.int64)
    rising = np.floor(0.5 + positions.quarters - 0.75 * positions.z).astype(np.int64)
    falling = np.floor(0.5 + positions.quarters + 0.75 * positions.z).astype(np.int64)
    belt = np.where(rising == falling, (rising & 3) + 4, np.where(rising < falling, rising & 3, (falling & 3) + 8))
    cap = np.where(positions.z > 0, quarter, quarter + 8)
    return np.where(np.abs(positions.z) > _CAP, cap, belt)


def _chart(face: _Integers, positions: _Positions) -> tuple[_Floats, _Floats]:
    """Coordinates x and y in (or continued beyond) a base pixel, which is the square [0, 1) x [0, 1)."""
    belt = face // 4 == 1
    z = np.where(face >= 8, -positions.z, positions.z)  # noqa: PLR2004 -- the southern base pixels mirror the northern
    in_cap = np.abs(z) > _CAP
    east = _turned(positions.quarters, np.where(belt, 0.0, 0.5) + face % 4)
    sigma = np.where(in_cap, positions.sigma, 1.0)
    cap_height = np.where(belt, 0.5 + np.sign(z) * (1 - sigma / 2), 1 - sigma / 2)
    belt_height = np.where(belt, 0.5, 0.0) + 0.75 * z
    height = np.where(in_cap & (belt | (z > 0)), cap_height, belt_height)
    x, y = height + east * sigma, height - east * sigma
    south = face >= 8  # noqa: PLR2004 -- as above
    return np.where(south, 1 - y, x), np.where(south, 1 - x, y)


def _nested(face: _Integers, x: _Integers, y: _Integers, order: _Integers | np.int64) -> _Integers:
    return np.asarray((face << 2 * order) | _spread(x) | (_spread(y) << 1))


def _spread(value: _Integers) -> _Integers:
    """The bits of a number of up to 30 bits at every other place."""
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        value = (value | (value << shift)) & mask
    return value
