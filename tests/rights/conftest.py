"""Two installations over the little history, shared by all tests that look for leaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.hunt import Ground
from support.tiny_history import make_history
from support.worlds import HeldMoment, People, world


@pytest.fixture(scope="package")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    root = tmp_path_factory.mktemp("canaries")
    make_history(root / "releases")
    people, now = People(), HeldMoment()
    with (
        world(root / "real", root / "releases", people, now) as real,
        world(root / "twin", root / "releases", people, now) as twin,
    ):
        yield Ground(real, twin, people, now, open_table="hist_dr1.quollhedgetable")
