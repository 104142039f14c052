"""Shapes on the sky, in ICRS degrees. Each checks itself when made and knows its exact membership test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pachon.core.errors import UsageError
from pachon.core.polygons import hemispheres, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Points = NDArray[np.float64]

_HALF_TURN_DEG = 180.0


def separation_deg(
    ra_deg: NDArray[np.float64] | float, dec_deg: NDArray[np.float64] | float, ra0_deg: float, dec0_deg: float
) -> NDArray[np.float64]:
    """Great-circle distance in degrees by the haversine formula, exact at the poles and across RA 0.

    Parameters
    ----------
    ra_deg, dec_deg
        Positions, ICRS degrees, any shape.
    ra0_deg, dec0_deg
        The other position, ICRS degrees.
    """
    dec, dec0 = np.radians(dec_deg), math.radians(dec0_deg)
    half_ra = np.sin(np.radians(np.asarray(ra_deg) - ra0_deg) / 2)
    half_dec = np.sin((dec - dec0) / 2)
    haversine = half_dec**2 + np.cos(dec) * math.cos(dec0) * half_ra**2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(haversine, 0.0, 1.0)))))


def check_position(ra_deg: float, dec_deg: float, *, ra_name: str = "RA", dec_name: str = "DEC") -> tuple[float, float]:
    """Wrap a right ascension to [0, 360) and check a declination.

    Raises
    ------
    UsageError
        If a coordinate is not finite or the declination is outside [-90, 90].
    """
    if not math.isfinite(ra_deg):
        message = f"{ra_name} must be a finite number of degrees, not {ra_deg}."
        raise UsageError(message, parameter=ra_name)
    if not math.isfinite(dec_deg) or abs(dec_deg) > 90:  # noqa: PLR2004 -- a pole
        message = f"{dec_name} must be between -90 and +90 degrees, not {dec_deg}."
        raise UsageError(message, parameter=dec_name)
    return ra_deg % 360.0, dec_deg


@dataclass(frozen=True, slots=True)
class Cone:
    """All positions within `radius_deg` (inclusive) of a centre."""

    ra_deg: float
    dec_deg: float
    radius_deg: float

    def __post_init__(self) -> None:
        ra_deg, dec_deg = check_position(float(self.ra_deg), float(self.dec_deg))
        object.__setattr__(self, "ra_deg", ra_deg)
        object.__setattr__(self, "dec_deg", dec_deg)
        object.__setattr__(self, "radius_deg", float(self.radius_deg))
        if not (math.isfinite(self.radius_deg) and 0 <= self.radius_deg <= _HALF_TURN_DEG):
            message = f"The radius must be between 0 and 180 degrees, not {self.radius_deg}."
            raise UsageError(message, parameter="SR")

    def contains(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which positions lie inside, as a mask of the inputs' shape."""
        return self.separation_deg(ra_deg, dec_deg) <= self.radius_deg

    def separation_deg(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances of positions from the centre, degrees, shape of the inputs."""
        return separation_deg(ra_deg, dec_deg, self.ra_deg, self.dec_deg)


@dataclass(frozen=True, slots=True)
class GnomonicFrame:
    """A tangent plane in which great circles are straight lines.

    Parameters
    ----------
    centre, east, north
        Orthonormal axes, ICRS Cartesian.
    x, y
        Projected vertices, shape (n,): components along `east` and `north` over the component along `centre`.
    radius_deg
        Largest distance of a vertex from the centre, degrees.
    """

    centre: tuple[float, float, float]
    east: tuple[float, float, float]
    north: tuple[float, float, float]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius_deg: float

    @property
    def cone(self) -> Cone:
        """A cone that holds every polygon with these vertices."""
        x, y, z = self.centre
        ra_deg = math.degrees(math.atan2(y, x)) % 360.0
        dec_deg = math.degrees(math.atan2(z, math.hypot(x, y)))
        return Cone(ra_deg, dec_deg, min(self.radius_deg * (1 + 1e-9) + 1e-9, _HALF_TURN_DEG))

    @property
    def crosses_itself(self) -> bool:
        """Whether two edges that are no neighbours touch, so that there is no agreed inside."""
        first = np.column_stack([self.x, self.y])
        second = np.roll(first, -1, axis=0)
        count = len(first)
        return any(_touches(first, second, edge, edge + 2, count - (edge == 0)) for edge in range(count - 2))


def _touches(first: _Points, second: _Points, edge: int, start: int, stop: int) -> bool:
    """Whether one edge touches any of those from `start` to before `stop`.

    Parameters
    ----------
    first, second
        The ends of all edges, shape (n, 2), in a plane.
    """
    a, b, c, d = first[edge], second[edge], first[start:stop], second[start:stop]
    boxes = (np.maximum(a, b) >= np.minimum(c, d)) & (np.maximum(c, d) >= np.minimum(a, b))
    near = boxes.all(axis=1)
    c, d = c[near], d[near]
    across = (_side(a, b, c) * _side(a, b, d) <= 0) & (_side(c, d, a) * _side(c, d, b) <= 0)
    return bool(across.any())


def _side(p: _Points, q: _Points, r: _Points) -> NDArray[np.float64]:
    """On which side of the line from p to q a point r lies: the sign of the cross product."""
    return np.asarray(
        (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])
    )


def gnomonic_frame(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> GnomonicFrame:
    """A tangent plane on which some positions (ICRS degrees, shape (n,)) have a place.

    Raises
    ------
    UsageError
        If no hemisphere holds them all.
    """
    vectors = unit_vectors(np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64))
    (centre,), found = hemispheres(vectors[None])
    if not found[0]:
        raise UsageError("A polygon must be smaller than a hemisphere: no hemisphere holds all its vertices.")
    ahead = vectors @ centre
    radius_deg = float(np.degrees(np.arccos(np.clip(ahead.min(), -1.0, 1.0))))
    pole = np.array([1.0, 0.0, 0.0]) if abs(centre[2]) > 0.9 else np.array([0.0, 0.0, 1.0])  # noqa: PLR2004 -- any axis
    east = np.cross(pole, centre)
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    x, y = vectors @ east / ahead, vectors @ north / ahead
    return GnomonicFrame(_axis(centre), _axis(east), _axis(north), x, y, radius_deg)


def _axis(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z
