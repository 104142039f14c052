"""The release folders of a lab that the hub starts, before and after its owner loses a right."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from pachon.rights.models import Audience
from support.labs import hub_client, start_lab, stop_lab
from support.skies import make_release
from support.stack import Platform

pytestmark = pytest.mark.stack

PERSON = "astronomer"


@pytest.fixture
def releases(platform: Platform) -> Iterator[Path]:
    """The folder of releases, with one for all rights holders that is gone afterwards."""
    folder = Path(platform.environment["PACHON_DATA__PATH"])
    publish(folder)
    yield folder
    shutil.rmtree(folder / "lost")


def publish(folder: Path, *, groups: tuple[str, ...] = ()) -> None:
    closed = {"audience": Audience.HOLDERS, "release_date": datetime.now(tz=UTC).date()}
    make_release(folder, release_id="lost", rows=50, groups=groups, **closed)


def listed(hub: httpx.Client, path: str) -> set[str]:
    """Names in a folder as the lab itself sees it; none if there is no such folder."""
    answer = hub.get(f"/user/{PERSON}/api/contents/{path}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return set()
    return {entry["name"] for entry in answer.raise_for_status().json()["content"]}


def test_a_lab_started_before_a_change_keeps_no_file_access_it_has_lost_after_restart(
    platform: Platform, releases: Path
) -> None:
    with hub_client(platform, PERSON) as hub:
        start_lab(hub, PERSON)
        assert listed(hub, "releases") == {"README.md", "lost", "sky"}
        assert "release.yaml" in listed(hub, "releases/lost")
        stop_lab(hub, PERSON)
        publish(releases, groups=("commissioning",))
        start_lab(hub, PERSON)
        assert listed(hub, "releases") == {"README.md", "sky"}
        assert listed(hub, "releases/lost") == set()
        stop_lab(hub, PERSON)
