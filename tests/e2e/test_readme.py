"""What the README and the documentation tell people to run, runs."""

from __future__ import annotations

from typing import Any

import pytest
import pyvo

from support.readme import ROOT, code_blocks
from support.stack import Platform

pytestmark = [pytest.mark.stack, pytest.mark.catalogues]
QUICK_START = ROOT / "docs" / "tutorials" / "quick-start.md"
TOOLS = ROOT / "docs" / "howto" / "tools.md"


@pytest.fixture(scope="module")
def platform(real_platform: Platform) -> Platform:
    return real_platform


@pytest.fixture(scope="module")
def tap(platform: Platform) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{platform.base_url}/api/tap")


@pytest.fixture
def with_tycho2(tap: pyvo.dal.TAPService) -> None:
    """Tycho-2 cannot be had everywhere; the suite says so."""
    if len(tap.search("SELECT table_name FROM tap_schema.tables WHERE table_name = 'tycho2.stars'")) == 0:
        pytest.skip("the catalogue Tycho-2 is missing: no Debian archive was reached")


def test_the_python_of_the_readme_answers_with_the_pleiades(platform: Platform) -> None:
    (block,) = code_blocks(ROOT / "README.md", "python", base_url=platform.base_url)
    names: dict[str, Any] = {}
    exec(block, names)
    stars = names["pleiades"]
    assert 50 < len(stars) <= 100
    assert set(stars.colnames) == {"hip", "ra", "dec", "parallax"}


@pytest.mark.usefixtures("with_tycho2")
def test_the_queries_of_the_quick_start_find_rows(tap: pyvo.dal.TAPService) -> None:
    blocks = code_blocks(QUICK_START, "sql")
    assert blocks
    assert [block for block in blocks if len(tap.search(block)) == 0] == []


@pytest.mark.usefixtures("with_tycho2")
def test_the_public_python_of_the_how_to_for_tools_runs(platform: Platform) -> None:
    exec(code_blocks(TOOLS, "python", base_url=platform.base_url)[0], {})
