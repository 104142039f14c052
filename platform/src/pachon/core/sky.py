"""Shapes on the sky, in ICRS degrees. Each checks itself when made and knows its exact membership test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pachon.core.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        ra_deg, _ = check_position(self.ra_deg, self.dec_deg)
        object.__setattr__(self, "ra_deg", ra_deg)
        if not (math.isfinite(self.radius_deg) and 0 <= self.radius_deg <= _HALF_TURN_DEG):
            message = f"The radius must be between 0 and 180 degrees, not {self.radius_deg}."
            raise UsageError(message, parameter="SR")

    def contains(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which positions lie inside, as a mask of the inputs' shape."""
        return separation_deg(ra_deg, dec_deg, self.ra_deg, self.dec_deg) <= self.radius_deg
