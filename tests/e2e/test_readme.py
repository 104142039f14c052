"""What the README and the documentation tell people to run, runs."""

from __future__ import annotations

from typing import Any

import pytest
import pyvo

from support.readme import ROOT, code_blocks

pytestmark = [pytest.mark.stack, pytest.mark.catalogues]


def test_the_python_of_the_readme_answers_with_the_pleiades(running_platform: Any) -> None:
    (block,) = code_blocks(ROOT / "README.md", "python", base_url=running_platform.base_url)
    names: dict[str, Any] = {}
    exec(block, names)
    stars = names["pleiades"]
    assert 50 < len(stars) <= 100
    assert set(stars.colnames) == {"hip", "ra", "dec", "parallax"}


def test_the_queries_of_the_quick_start_find_rows(running_platform: Any) -> None:
    tap = pyvo.dal.TAPService(f"{running_platform.base_url}/api/tap")
    blocks = code_blocks(ROOT / "docs" / "tutorials" / "quick-start.md", "sql")
    assert blocks
    assert [block for block in blocks if len(tap.search(block)) == 0] == []


def test_the_public_python_of_the_how_to_for_tools_runs(running_platform: Any) -> None:
    block = code_blocks(ROOT / "docs" / "howto" / "tools.md", "python", base_url=running_platform.base_url)[0]
    exec(block, {})
