"""A million rows of nine columns in a person's Python: by the client's Arrow road, and by pyvo's VOTable road."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.figures import Figure, save
from bench.tap.server import running_api
from bench.tap.sky import import_sky
from bench.timing import interleaved, median_ms
from pachon_client import Client
from support.app import HOLDER, know_people
from support.hub_double import running_hub

_ROWS = 1_000_000
_ROUNDS = 3
_ADQL = "SELECT id, ra, dec, u_mag, g_mag, r_mag, i_mag, z_mag, y_mag FROM sky.objects"
_PATHS = ("extensions/pachon-client/src", "platform/src/pachon/queries/saved", "platform/src/pachon/vo")

pytestmark = pytest.mark.filterwarnings("ignore::pyvo.dal.exceptions.DALOverflowWarning")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("client")
    import_sky(root / "releases", _ROWS)
    with running_hub() as hub:
        know_people(hub)
        settings = {
            "PACHON_IDENTITY__HUB_URL": hub.url,
            "PACHON_IDENTITY__API_TOKEN": hub.client_secret,
            "PACHON_IDENTITY__COOKIE_SECRET": "c" * 64,
        }
        with running_api(root / "home", root / "releases", **settings) as api:
            yield Client(f"http://127.0.0.1:{api.port}/api", HOLDER)


def test_rows_reach_python_an_order_of_magnitude_sooner_than_by_votable(client: Client) -> None:
    kept = client.ask(_ADQL, "kept", max_rows=_ROWS)
    first = kept.result()
    assert (len(first), len(first.columns)) == (_ROWS, 9)
    tap = client.tap()

    def by_votable(_: int) -> None:
        assert len(tap.run_sync(_ADQL, maxrec=_ROWS).to_table()) == _ROWS

    def asked(number: int) -> None:
        query = client.ask(_ADQL, f"round {number}", max_rows=_ROWS)
        assert len(query.wait(on_change=lambda _: None).result().to_astropy()) == _ROWS

    candidates = {
        "kept": lambda _: kept.result().to_astropy(),
        "asked": asked,
        "at once": lambda _: client.query(_ADQL, _ROWS).to_astropy(),
    }
    seconds = interleaved(candidates, rounds=_ROUNDS) | interleaved({"pyvo": by_votable}, rounds=1)
    took_ms = {name: median_ms(values) for name, values in seconds.items()}
    told = ", ".join(f"{name} {value:,.0f} ms" for name, value in took_ms.items())
    figures = [
        Figure(
            name=f"pyvo's run_sync to {what} of 1 M rows x 9 columns",
            value=round(took_ms["pyvo"] / took_ms[name], 1),
            unit="x faster",
            target=">= 10",
            passed=took_ms["pyvo"] >= 10 * took_ms[name],
            paths=_PATHS,
            note=f"to an astropy Table, median of {_ROUNDS}, of pyvo once: {told}",
        )
        for name, what in (
            ("asked", "a query asked, run, kept and read by q.result()"),
            ("kept", "q.result() of kept rows"),
        )
    ]
    save(figures)
    assert [figure.name for figure in figures if not figure.passed] == [], told
