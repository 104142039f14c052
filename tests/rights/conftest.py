"""Two installations over the little history, shared by all tests that look for leaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.history import make_history
from support.hunt import Ground
from support.job_hunt import keep_jobs, keep_queries
from support.skies import make_release
from support.worlds import HeldMoment, People, world


@pytest.fixture(scope="package")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    root = tmp_path_factory.mktemp("canaries")
    make_history(root / "releases", root / "mass")
    make_release(root / "releases", rows=20)
    people, now = People(), HeldMoment()
    with (
        world(root / "real", root, people, now) as real,
        world(root / "twin", root, people, now) as twin,
    ):
        jobs = keep_jobs(real)
        yield Ground(real, twin, people, now, open_table="sky.stars", jobs=jobs, saved=keep_queries(real, jobs))
