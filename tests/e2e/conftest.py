"""One running platform for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.skies import make_release
from support.stack import Platform, running_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform with a small synthetic sky (`sky.stars`, 20 000 rows)."""
    folder = tmp_path_factory.mktemp("platform")
    make_release(folder / "releases")
    quick = {"PACHON_JOBS__LEASE_S": "2"}
    with running_platform(folder / "home", folder / "releases", settings=quick) as running:
        yield running
