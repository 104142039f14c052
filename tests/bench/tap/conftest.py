"""Fixtures: the releases, the Web APIs over them, and the two rivals, once for a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.figures import ROOT
from bench.tap.rivals import Postgres, RawDuckDB, running_rival
from bench.tap.server import Api, Client, running_api
from bench.tap.sky import make_releases
from pachon.app.settings import QuerySettings


@dataclass(frozen=True)
class Arena:
    """Who answers in a run."""

    api: Api
    client: Client
    raw: RawDuckDB
    postgres: Postgres


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "releases"
    make_releases(root, ROOT / "var" / "releases")
    return root


@pytest.fixture(scope="session")
def api(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("home"), releases) as api:
        yield api


@pytest.fixture(scope="session")
def arena(api: Api, releases: Path) -> Iterator[Arena]:
    raw = RawDuckDB(releases, threads=QuerySettings().short.threads)
    with running_rival() as postgres, api.client() as client:
        postgres.load("objects", raw.snapshot("sky.objects"))
        postgres.load("stars", raw.snapshot("tycho2.stars"))
        yield Arena(api, client, raw, postgres)
    raw.close()
