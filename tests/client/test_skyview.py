"""Rows marked on an image in a notebook, as the kernel sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

import pachon_client
from pachon_client import RequestError
from pachon_client.skyview import image, viewer

NAN = float("nan")
ROWS = {"id": [5, 6, 7], "ra": [359.9, NAN, 0.1], "dec": [-5.0, 2.0, 3.0]}


@pytest.fixture
def field(tmp_path: Path) -> Path:
    path = tmp_path / "field.fits"
    fits.PrimaryHDU(np.zeros((4, 4), np.float32)).writeto(path)
    return path


def test_rows_with_a_position_are_marked_and_what_is_selected_comes_back(field: Path) -> None:
    sky = pachon_client.sky(field, pa.table(ROWS))
    assert sky.positions.tolist() == [[359.9, -5.0], [0.1, 3.0]]
    assert (sky.adql, len(sky.selection)) == ("", 0)
    sky.select([1])
    assert (sky.adql, sky.selection["id"].tolist()) == ("id IN (7)", [7])
    with pytest.raises(RequestError, match="There are 2 marks, counted from 0"):
        sky.select([2])
    assert sky.adql == "id IN (7)"


def test_a_hips_is_taken_by_its_address_and_a_file_by_its_bytes(field: Path) -> None:
    assert pachon_client.sky("https://sky.example.org/hips/dss/").image.address == "https://sky.example.org/hips/dss"
    assert pachon_client.sky(str(field)).image == image.Image("field.fits", fits=field.read_bytes())


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"x": [1.0]}, "The rows have no position"),
        (
            {"ra": np.zeros(viewer.MOST_MARKED + 1), "dec": np.zeros(viewer.MOST_MARKED + 1)},
            "at most 10,000 are marked",
        ),
    ],
)
def test_rows_that_cannot_be_marked_are_refused(field: Path, rows: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        pachon_client.sky(field, pa.table(rows))


def test_what_is_no_image_is_refused(tmp_path: Path, field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    with pytest.raises(RequestError, match="is no FITS file"):
        pachon_client.sky(text)
    with pytest.raises(RequestError, match="There is no file"):
        pachon_client.sky("hips/dss")
    monkeypatch.setattr(image, "MOST_BYTES", 100)
    with pytest.raises(RequestError, match="at most 100 are sent to a browser"):
        pachon_client.sky(field)
