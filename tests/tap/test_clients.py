"""What astronomers use, each against the live server; `test_async_clients` has the same clients with jobs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import pyvo
import requests

from pachon.core.sky import Cone
from support.app import HOLDER, Site, running_site
from support.jobs import FIVE
from support.stilts import DEBIANS, logged_in, needs_newer_stilts, needs_stilts

HIDDEN = "SELECT COUNT(*) AS n FROM future.stars"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("clients"))) as running:
        yield running


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stilts(program: Sequence[str], task: str, **given: str) -> str:
    return run(*program, task, *(f"{name.rstrip('_')}={value}" for name, value in given.items()))


def first_five(site: Site) -> list[int]:
    return sorted(site.stars["id"].to_pylist())[:5]


def test_pyvo_asks_in_its_owners_name_with_a_bearer_session(site: Site, session: requests.Session) -> None:
    session.headers["Authorization"] = f"Bearer {HOLDER}"
    tap = pyvo.dal.TAPService(f"{site.url}/api/tap", session=session)

    assert tap.search(HIDDEN)["n"].tolist() == [site.hidden.num_rows]


@needs_stilts
def test_stilts_asks_synchronously(site: Site) -> None:
    csv = stilts(DEBIANS, "tapquery", tapurl=f"{site.url}/api/tap", adql=FIVE, ofmt="csv")

    assert [int(line.split(",")[0]) for line in csv.splitlines()[1:]] == first_five(site)


@needs_stilts
@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b"])
def test_votlint_finds_nothing_in_what_the_server_sends(site: Site, tmp_path: Path, form: str) -> None:
    given = {"LANG": "ADQL", "QUERY": "SELECT TOP 50 * FROM sky.stars", "RESPONSEFORMAT": form}
    file = tmp_path / "answer.vot"
    file.write_bytes(site.client.post("/api/tap/sync", data=given).content)

    assert stilts(DEBIANS, "votlint", votable=str(file)) == ""


@needs_newer_stilts
def test_stilts_logs_in_where_it_is_challenged(site: Site) -> None:
    url = f"{site.url}/api/tap"
    csv = stilts(logged_in(HOLDER), "tapquery", tapurl=url, adql=HIDDEN, ofmt="csv", auth="true")

    assert csv.split() == ["n", str(site.hidden.num_rows)]


@needs_stilts
def test_stilts_matches_a_list_of_positions_by_cones(site: Site, tmp_path: Path) -> None:
    places = [(0.0, 89.9), (0.02, 10.0), (200.0, -89.85)]
    file = tmp_path / "places.csv"
    file.write_text("lon,lat\n" + "\n".join(f"{ra},{dec}" for ra, dec in places), encoding="utf-8")
    ra, dec = (site.stars[name].to_numpy() for name in ("ra", "dec"))
    surely, perhaps = (
        {site.stars["id"][n].as_py() for at in places for n in np.flatnonzero(Cone(*at, radius).contains(ra, dec))}
        for radius in (0.1999, 0.2001)  # STILTS looks at each row again, less exactly
    )

    csv = stilts(
        DEBIANS, "coneskymatch", in_=str(file), ifmt="csv", ra="lon", dec="lat", sr="0.2", find="all", ofmt="csv",
        serviceurl=f"{site.url}/api/scs/sky.stars?", ocmd="keepcols id", parallel="2",
    )  # fmt: skip

    found = {int(number) for number in csv.split()[1:]}
    assert surely <= found <= perhaps
    assert len(surely) > 1_000


def test_astroquery_asks_synchronously(site: Site) -> None:
    program = (
        "from astroquery.utils.tap.core import TapPlus\n"
        f"print(*TapPlus(url='{site.url}/api/tap').launch_job({FIVE!r}).get_results()['id'], sep=',')"
    )

    assert run(sys.executable, "-c", program).splitlines()[-1] == ",".join(map(str, first_five(site)))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_curl_asks_with_a_token_as_password(site: Site) -> None:
    given = ("--data", "LANG=ADQL", "--data", "RESPONSEFORMAT=csv", "--data-urlencode", f"QUERY={HIDDEN}")

    told = run("curl", "--silent", "--fail", "--user", f"me:{HOLDER}", *given, f"{site.url}/api/tap/sync")

    assert told.split() == ["n", str(site.hidden.num_rows)]
