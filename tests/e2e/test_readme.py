"""What the README tells people to run, runs."""

from __future__ import annotations

import pytest

from support.readme import ROOT, code_blocks


@pytest.mark.stack
@pytest.mark.catalogues
def test_the_python_of_the_readme_answers_with_the_pleiades(running_platform: object) -> None:
    (block,) = code_blocks(ROOT / "README.md", "python", base_url=running_platform.base_url)
    names: dict[str, object] = {}
    exec(block, names)
    stars = names["pleiades"]
    assert 0 < len(stars) <= 100
    assert set(stars.colnames) == {"hip", "ra", "dec", "plx"}
