"""The density map of a catalogue, `skymap.fits`: rows per pixel, nested, implicit index (HEALPix in FITS)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pachon.core.healpix import pixel_count
from pachon.releases.hats.layout import SKYMAP_ORDER
from pachon.releases.hats.workplace import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAME = "skymap.fits"


def write_skymap(catalogue: Path, counts: NDArray[np.int64]) -> None:
    """Write rows per nested pixel at `SKYMAP_ORDER`, shape (12 * 4**8,)."""
    from astropy.io import fits  # noqa: PLC0415 -- a second of imports that the start of the Web APIs does without

    column = fits.Column(name="VALUE", format="J", array=counts.astype(np.int32))
    table = fits.BinTableHDU.from_columns([column])
    table.header.update(
        {
            "PIXTYPE": "HEALPIX",
            "ORDERING": "NESTED",
            "COORDSYS": "C",
            "NSIDE": 1 << SKYMAP_ORDER,
            "ORDER": SKYMAP_ORDER,
            "FIRSTPIX": 0,
            "LASTPIX": counts.size - 1,
            "INDXSCHM": "IMPLICIT",
        }
    )
    with replacing(catalogue / _NAME) as path:
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def read_skymap(catalogue: Path) -> NDArray[np.uint32] | None:
    """Rows per nested pixel at `SKYMAP_ORDER`, shape (12 * 4**8,); None if there is no map, or a coarser one."""
    from astropy.io import fits  # noqa: PLC0415 -- see above

    try:
        with fits.open(catalogue / _NAME, memmap=False) as hdus:
            counts = np.asarray(hdus[1].data.field(0)).ravel()
    except FileNotFoundError:
        return None
    coarse = pixel_count(SKYMAP_ORDER)
    if counts.size < coarse:
        return None
    return np.asarray(counts.reshape(coarse, -1).sum(axis=1), dtype=np.uint32)
