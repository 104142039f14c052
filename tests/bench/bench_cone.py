"""A 10' cone end to end beside the same SQL in raw DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from bench.figures import ROOT, Figure, save
from bench.timing import interleaved, median_ms, p95_ms
from pachon.core.sky import Cone
from pachon.queries.engines.duckdb_sql import write
from pachon.queries.engines.duckdb_worker import connect
from pachon.queries.service import cone_plan
from pachon.releases.folder_storage import FolderReleaseStore
from support.stack import Platform, running_platform
from support.stores import snapshot_of

_ROUNDS = 200
_RADIUS_DEG = 10 / 60
_RELEASES = ROOT / "var" / "releases"
_PATHS = (
    "platform/src/pachon/queries",
    "platform/src/pachon/scs",
    "platform/src/pachon/vo",
    "platform/src/pachon/releases/hats",
)

pytestmark = [
    pytest.mark.stack,
    pytest.mark.catalogues,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning"),
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("home"), _RELEASES) as running:
        yield running


def test_a_cone_costs_little_more_than_raw_duckdb(platform: Platform) -> None:
    snapshot = snapshot_of(FolderReleaseStore(_RELEASES), "tycho2.stars")
    raw = connect(_raw_config())
    rng = np.random.default_rng(20261123)
    centres = np.column_stack([rng.uniform(0, 360, _ROUNDS), np.degrees(np.arcsin(rng.uniform(-1, 1, _ROUNDS)))])
    statements = [
        write(cone_plan(snapshot, Cone(ra, dec, _RADIUS_DEG), columns=None, max_rows=100_000)).sql
        for ra, dec in centres
    ]
    api = f"http://127.0.0.1:{platform.environment['PACHON_LISTEN__API_PORT']}"
    with httpx.Client(trust_env=False) as client:

        def ask(base: str, number: int) -> None:
            ra, dec = centres[number]
            query = {"RA": ra, "DEC": dec, "SR": _RADIUS_DEG, "VERB": 3}
            client.get(f"{base}/api/scs/tycho2.stars", params=query).raise_for_status()

        candidates = {
            "raw": lambda number: raw.execute(statements[number]).to_arrow_reader(65_536).read_all(),
            "port": lambda number: ask(api, number),
            "proxy": lambda number: ask(platform.base_url, number),
        }
        interleaved(candidates, rounds=20)
        seconds = interleaved(candidates, rounds=_ROUNDS)
    raw_ms, port_ms, proxy_ms = (median_ms(seconds[name]) for name in candidates)
    allowed_ms = 1.5 * raw_ms + 5
    spread = f"raw {raw_ms:.1f} ms, p95 at the port {p95_ms(seconds['port']):.1f} ms"
    note = f"{_ROUNDS} random centres, all columns, median; {spread}"
    figures = [
        Figure(
            name="10' cone at the API's port",
            value=round(port_ms, 1),
            unit="ms",
            target=f"<= 1.5 x raw + 5 = {allowed_ms:.1f}",
            passed=port_ms <= allowed_ms,
            paths=_PATHS,
            note=note,
        ),
        Figure(
            name="10' cone through the proxy",
            value=round(proxy_ms, 1),
            unit="ms",
            target="beside the port's",
            passed=True,
            paths=_PATHS,
            note=note,
        ),
    ]
    save(figures)
    assert figures[0].passed, note


def _raw_config() -> dict[str, object]:
    return {
        "folders": [str(Path(_RELEASES).resolve())],
        "temp_folder": "",
        "threads": 1,
        "memory_bytes": 2 * 1024**3,
        "temp_bytes": 0,
    }
