"""HEALPix in the nested scheme, ICRS: the only module that names the HEALPix and MOC libraries.

Order 29 indices (`_healpix_29` in HATS) are the spatial key of every catalogue. The libraries bring seconds of imports:
they are loaded by the first call, or by `warm_up` before anybody waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pachon.core import healpix_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.core.sky import Cone

SPATIAL_INDEX_ORDER = 29
_CONE_COVER_EXTRA_ORDERS = 3


def warm_up() -> None:
    """Load the libraries, which otherwise the first call does."""
    import cdshealpix  # noqa: F401, PLC0415 -- see the module
    import mocpy  # noqa: F401, PLC0415 -- see the module


def pixel_count(order: int) -> int:
    """How many pixels the sphere has at an order."""
    return 12 << (2 * order)


def spatial_index(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order 29 nested index of each position (ICRS degrees), shape of the inputs."""
    return pixel_of(ra_deg, dec_deg, order=SPATIAL_INDEX_ORDER)


class PromptIndex:
    """`spatial_index` for a process that may never need the libraries: the first rows are computed without them.

    Both agree but for rounding at the borders of order 29 pixels (0.4 mas); the libraries are some twenty times faster.

    Parameters
    ----------
    rows
        How many rows to compute before the libraries are worth their import.
    """

    def __init__(self, rows: int = 1_000_000) -> None:
        self._left = rows

    def __call__(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int64]:
        """Order 29 nested index of each position (ICRS degrees, finite), shape of the inputs."""
        self._left -= len(ra_deg)
        if self._left < 0:
            return spatial_index(ra_deg, dec_deg)
        return healpix_grid.pixel_of(np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64))


def pixel_of(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], *, order: int) -> NDArray[np.int64]:
    """Nested pixel number at `order` of each position (ICRS degrees), shape of the inputs."""
    import astropy.units as u  # noqa: PLC0415 -- see the module
    import cdshealpix  # noqa: PLC0415 -- see the module
    from astropy.coordinates import Latitude, Longitude  # noqa: PLC0415 -- see the module

    lon = Longitude(np.asarray(ra_deg, dtype=np.float64), unit=u.deg)
    lat = Latitude(np.asarray(dec_deg, dtype=np.float64), unit=u.deg)
    return np.asarray(cdshealpix.lonlat_to_healpix(lon, lat, order), dtype=np.int64)


def position_of(pixels: NDArray[np.int64], *, order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension and declination (ICRS degrees) of the centres of nested pixels, shapes of the input."""
    import astropy.units as u  # noqa: PLC0415 -- see the module
    import cdshealpix  # noqa: PLC0415 -- see the module

    lon, lat = cdshealpix.healpix_to_lonlat(np.asarray(pixels, dtype=np.uint64), order)
    return np.asarray(lon.to_value(u.deg), dtype=np.float64), np.asarray(lat.to_value(u.deg), dtype=np.float64)


def cone_index_ranges(cone: Cone, *, max_order: int = SPATIAL_INDEX_ORDER) -> NDArray[np.int64]:
    """Half-open ranges of order 29 indices that cover a cone; never misses a position inside it.

    Returns
    -------
    numpy.ndarray
        Shape (n, 2), sorted, disjoint: rows of [start, stop).
    """
    import astropy.units as u  # noqa: PLC0415 -- see the module
    from astropy.coordinates import Latitude, Longitude  # noqa: PLC0415 -- see the module
    from mocpy import MOC  # noqa: PLC0415 -- see the module

    moc = MOC.from_cone(
        Longitude(cone.ra_deg, unit=u.deg),
        Latitude(cone.dec_deg, unit=u.deg),
        radius=max(cone.radius_deg, 1e-9) * u.deg,
        max_depth=min(max_order, _cover_order(cone.radius_deg)),
        delta_depth=2,
    )
    return np.asarray(moc.to_depth29_ranges, dtype=np.int64)


def _cover_order(radius_deg: float) -> int:
    """An order whose pixels are some eight times smaller than the cone, so that its cover has a few dozen ranges."""
    pixel_size_deg = 58.6323 / 2.0 ** np.arange(SPATIAL_INDEX_ORDER + 1)
    fitting = int(np.searchsorted(-pixel_size_deg, -max(radius_deg, 1e-7)))
    return min(max(fitting + _CONE_COVER_EXTRA_ORDERS, 3), SPATIAL_INDEX_ORDER - 2)
