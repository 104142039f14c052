"""Tables of one's own that go with a query, by the Python client, against real Web APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from pachon_client import Client, RequestError
from support.app import HOLDER, running_site

PLACES = {"n": [1, 2, 3], "ra": [10.0, 200.5, 359.9], "dec": [-5.0, 30.0, 89.0], "label": ["a", "bb", "é"]}
LIST = "SELECT n, ra, dec, label FROM TAP_UPLOAD.mine ORDER BY n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_site(tmp_path_factory.mktemp("site")) as site, Client(f"{site.url}/api", HOLDER) as client:
        yield client


def as_astropy(_folder: Path) -> Table:
    table = Table(PLACES)
    table["ra"].unit = table["dec"].unit = u.deg
    return table


def as_read_from_fits(folder: Path) -> Table:
    as_astropy(folder)["n", "ra", "dec"].write(folder / "places.fits", overwrite=True)
    table = Table.read(folder / "places.fits")
    table["label"] = PLACES["label"]
    return table


def as_csv(folder: Path) -> Path:
    pd.DataFrame(PLACES).to_csv(folder / "places.csv", index=False)
    return folder / "places.csv"


@pytest.mark.parametrize(
    "own_table",
    [as_astropy, as_read_from_fits, as_csv, lambda f: str(as_csv(f)), lambda f: QTable(as_astropy(f)),
     lambda _: pd.DataFrame(PLACES, index=[7, 8, 9]), lambda _: pa.table(PLACES)],
    ids=["astropy", "big-endian", "path", "text of a path", "quantities", "pandas", "arrow"],
)  # fmt: skip
def test_a_table_of_any_kind_goes_with_a_query(
    client: Client, tmp_path: Path, own_table: Callable[[Path], object]
) -> None:
    assert client.query(LIST, uploads={"mine": own_table(tmp_path)}).table.to_pydict() == PLACES


def test_units_travel_and_a_result_can_be_sent_again_beside_another_table(client: Client, tmp_path: Path) -> None:
    first = client.query("SELECT n, ra FROM TAP_UPLOAD.mine", uploads={"mine": as_astropy(tmp_path)})
    joined = "SELECT a.n, a.ra, b.label FROM TAP_UPLOAD.a AS a JOIN TAP_UPLOAD.b AS b ON a.n = b.n ORDER BY a.n"
    both = client.query(joined, 2, uploads={"a": first, "b": pa.table(PLACES)})
    assert [column.unit for column in both.columns] == [None, "deg", None]
    assert (both["label"].tolist(), both.overflow) == (["a", "bb"], True)


@pytest.mark.parametrize(
    ("own_table", "said"),
    [
        ("nowhere.csv", "Table mine cannot be read from nowhere.csv: No such file"),
        (np.zeros(3), "Table mine is a ndarray; a path, a Result"),
        (
            Table({"place": SkyCoord([1, 2], [3, 4], unit="deg"), "list": [{}, []]}),
            "Table mine cannot be written as VOTable",
        ),
    ],
)
def test_what_is_no_table_is_said_before_anything_is_sent(client: Client, own_table: object, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        client.query(LIST, uploads={"mine": own_table})
