"""One running platform and one Chromium for all tests of the Portal's pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser

from pachon.rights.models import Audience
from support.browser import chromium
from support.skies import make_release
from support.stack import Platform, running_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform with a synthetic sky (`sky.stars`, 60 000 rows), and `deep.stars` for data rights holders."""
    folder = tmp_path_factory.mktemp("portal")
    today = datetime.now(tz=UTC).date()
    make_release(folder / "releases", rows=60_000)
    make_release(folder / "releases", release_id="deep", seed=7, audience=Audience.HOLDERS, release_date=today)
    with running_platform(folder / "home", folder / "releases") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running
