"""The Python and the queries that README, quick start and the how-to for tools tell people to run, run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import pyvo

from support.labs import hub_client
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


def test_the_python_of_the_quick_start_finds_rows_in_a_process_like_a_labs_kernel(platform: Platform) -> None:
    (block,) = code_blocks(QUICK_START, "python")
    with hub_client(platform, "novice") as hub:
        in_a_lab = {"PACHON_API_URL": f"{platform.base_url}/api", "JUPYTERHUB_API_TOKEN": token_of(hub)}
        assert printed(f"{block}\nprint(len(stars.to_astropy()))", in_a_lab) == "1000\n"


def test_every_example_over_the_real_catalogues_finds_rows(tap: pyvo.dal.TAPService) -> None:
    examples = tap.examples
    assert {"histogram", "crossmatch"} <= set(re.findall(r'id="(\w+)"', httpx.get(f"{tap.baseurl}/examples").text))
    assert [str(example) for example in examples if len(example.execute()) == 0] == []


@pytest.mark.usefixtures("with_tycho2")
def test_the_python_of_the_how_to_for_tools_runs_from_top_to_bottom(platform: Platform) -> None:
    blocks = code_blocks(TOOLS, "python", base_url=platform.base_url)
    who = 'print(len(rows), session.get(tap.baseurl + "/tables").headers["X-VO-Authenticated"])'
    with hub_client(platform, "novice") as hub:
        script = "\n".join((*blocks, who)).replace("<token>", token_of(hub))
        assert printed(script, {}) == "1 novice\n"


def printed(script: str, environment: Mapping[str, str]) -> str:
    """What a script prints, run in a process of its own as people do: pyvo leaves connections open until it ends."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def token_of(hub: httpx.Client) -> str:
    return hub.headers["Authorization"].removeprefix("token ")
