"""The whole sky on a plane: the Mollweide projection, ICRS, east to the left.

The plane is the standard one for a unit sphere: x within 2 sqrt(2), y within sqrt(2) of the centre. Areas are kept: an
area on the plane is a solid angle in steradians. Source: J. P. Snyder, Map Projections, USGS Professional Paper 1395
(1987), pages 249-252.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

HALF_WIDTH = 2 * math.sqrt(2)
HALF_HEIGHT = math.sqrt(2)
_NEWTON_STEPS = 40
_CONVERGED = 1e-13
_NEAR_POLE = 1.2


def project(
    ra_deg: ArrayLike, dec_deg: ArrayLike, *, ra0_deg: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Plane coordinates of positions (ICRS degrees, any shape) for a map whose middle meridian is `ra0_deg`."""
    lat = np.radians(np.asarray(dec_deg, dtype=np.float64))
    theta = _auxiliary_angle(lat)
    lon = np.radians((np.asarray(ra_deg, dtype=np.float64) - ra0_deg + 180.0) % 360.0 - 180.0)
    return -HALF_WIDTH / np.pi * lon * np.cos(theta), HALF_HEIGHT * np.sin(theta)


def unproject(x: float, y: float, *, ra0_deg: float) -> tuple[float, float] | None:
    """Position (ICRS degrees) of a point of the plane; None outside the map's oval."""
    sine = y / HALF_HEIGHT
    if abs(sine) > 1:
        return None
    theta = math.asin(sine)
    lat = math.asin(max(-1.0, min(1.0, (2 * theta + math.sin(2 * theta)) / math.pi)))
    cosine = math.cos(theta)
    lon = 0.0 if cosine < _CONVERGED else -x * math.pi / (HALF_WIDTH * cosine)
    if abs(lon) > math.pi * (1 + 1e-9):
        return None
    return (math.degrees(lon) + ra0_deg) % 360.0, math.degrees(lat)


def _auxiliary_angle(lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve 2 theta + sin(2 theta) = pi sin(lat) by Newton's method, started so that the poles converge too."""
    target = np.pi * np.sin(lat)
    near_pole = np.pi / 2 - np.cbrt(3 * np.pi / 4 * (1 - np.abs(np.sin(lat))))
    theta = np.where(np.abs(lat) > _NEAR_POLE, np.sign(lat) * near_pole, lat * 0.83)
    for _ in range(_NEWTON_STEPS):
        slope = 2 + 2 * np.cos(2 * theta)
        step = np.where(slope > _CONVERGED, (2 * theta + np.sin(2 * theta) - target) / np.maximum(slope, _CONVERGED), 0)
        theta = np.clip(theta - step, -np.pi / 2, np.pi / 2)
        if np.max(np.abs(step), initial=0.0) < _CONVERGED:
            break
    return theta


@dataclass(frozen=True, slots=True)
class View:
    """The piece of the plane that a map shows, and its size on the screen.

    Parameters
    ----------
    x, y
        Centre on the plane.
    scale
        Plane units of one screen pixel.
    width, height
        Screen pixels.
    ra0_deg
        Right ascension of the map's middle meridian.
    """

    x: float
    y: float
    scale: float
    width: int
    height: int
    ra0_deg: float = 0.0

    @classmethod
    def whole_sky(cls, width: int, height: int, *, ra0_deg: float = 0.0) -> View:
        """All of the sky with a small margin."""
        scale = 1.04 * max(2 * HALF_WIDTH / width, 2 * HALF_HEIGHT / height)
        return cls(0.0, 0.0, scale, width, height, ra0_deg)

    @classmethod
    def around(cls, ra_deg: float, dec_deg: float, *, field_deg: float, width: int, height: int) -> View:
        """A field of `field_deg` across its smaller side, its centre on the middle meridian: no shear there."""
        _, y = project(ra_deg, dec_deg, ra0_deg=ra_deg)
        return cls(0.0, float(y), math.radians(field_deg) / min(width, height), width, height, ra_deg)

    @property
    def x_range(self) -> tuple[float, float]:
        """Left and right edge on the plane."""
        half = self.scale * self.width / 2
        return self.x - half, self.x + half

    @property
    def y_range(self) -> tuple[float, float]:
        """Lower and upper edge on the plane."""
        half = self.scale * self.height / 2
        return self.y - half, self.y + half

    @property
    def centre(self) -> tuple[float, float] | None:
        """Position (ICRS degrees) in the middle; None if that is outside the sky."""
        return unproject(self.x, self.y, ra0_deg=self.ra0_deg)

    @property
    def field_deg(self) -> float:
        """Angle across the smaller side, degrees, as if the sky were flat; at most 180."""
        return min(180.0, math.degrees(self.scale * min(self.width, self.height)))

    @property
    def shows_whole_sky(self) -> bool:
        """Whether no part of the sky is cut off."""
        (left, right), (low, high) = self.x_range, self.y_range
        return left <= -HALF_WIDTH and right >= HALF_WIDTH and low <= -HALF_HEIGHT and high >= HALF_HEIGHT

    def zoomed(self, factor: float) -> View:
        """The same centre, `factor` times closer; never smaller than an arc minute or larger than the whole sky."""
        widest = View.whole_sky(self.width, self.height).scale
        narrowest = math.radians(1 / 60) / min(self.width, self.height)
        return replace(self, scale=min(widest, max(narrowest, self.scale / factor)))

    def moved(self, right: float, up: float) -> View:
        """Moved by fractions of its width and height, the centre staying on the map."""
        x = self.x + right * self.scale * self.width
        y = self.y + up * self.scale * self.height
        return replace(self, x=max(-HALF_WIDTH, min(HALF_WIDTH, x)), y=max(-HALF_HEIGHT, min(HALF_HEIGHT, y)))

    def resized(self, width: int, height: int) -> View:
        """Another size on the screen that shows all that was shown, and no more than the whole sky."""
        scale = self.scale * max(self.width / width, self.height / height)
        return replace(self, width=width, height=height, scale=min(scale, View.whole_sky(width, height).scale))
