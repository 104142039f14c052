from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.lab_server import AS_OWNER, running_lab

BUNDLE = Path(__file__).resolve().parents[2] / "extensions" / "pachon-lab" / "src" / "pachon_lab" / "labextension"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[str]:
    with running_lab(home, {"PACHON_API_URL": "http://127.0.0.1:9/api"}) as address:
        yield address


def test_the_front_end_learns_where_the_doors_lead(lab: str) -> None:
    answer = httpx.get(f"{lab}/pachon/config", headers=AS_OWNER)
    assert answer.json() == {
        "portal": "http://127.0.0.1:9/portal/",
        "api": "http://127.0.0.1:9/api/docs",
        "documentation": "http://127.0.0.1:9/",
        "tutorial": "tutorials/01-first-light.ipynb",
    }


@pytest.mark.parametrize("address", ["config", "queries", "queries/events", "queries/abc"])
def test_strangers_learn_nothing(lab: str, address: str) -> None:
    assert httpx.get(f"{lab}/pachon/{address}").status_code == 403


@pytest.mark.parametrize("address", ["queries", "queries/events", "queries/abc"])
def test_a_platform_that_is_away_is_told_in_one_sentence(lab: str, address: str) -> None:
    answer = httpx.get(f"{lab}/pachon/{address}", headers=AS_OWNER)
    assert answer.status_code == 502
    assert answer.json()["message"].startswith("The platform at http://127.0.0.1:9/api cannot be reached")


def test_the_tutorials_are_in_the_home_and_the_front_end_is_served(lab: str, home: Path) -> None:
    assert (home / "tutorials" / "01-first-light.ipynb").is_file()
    page = httpx.get(f"{lab}/lab", headers=AS_OWNER).text
    assert '"name": "pachon-lab"' in page
    entry = json.loads((BUNDLE / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    assert entry in page
    module = httpx.get(f"{lab}/lab/extensions/pachon-lab/{entry}")
    assert module.status_code == 200
    assert "pachon-lab" in module.text
