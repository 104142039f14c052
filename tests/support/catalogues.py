"""One platform over the real catalogues, shared by all tests that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pachon.app.settings import Settings
from pachon.preview.build import build_default
from support.stack import Platform, running_platform

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform over the default catalogues of this checkout, which are built where they are not there yet."""
    settings = Settings(home=ROOT / "var")
    build_default(settings, print)
    with running_platform(tmp_path_factory.mktemp("real"), settings.releases_path) as running:
        yield running
