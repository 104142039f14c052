"""Which release folders a lab sees: asked of the real Web APIs, shown by the real spawner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from pachon.core.errors import UnavailableError
from pachon.hub import release_folders
from pachon.hub.labs import LabSpawner
from pachon.identity.models import Scope
from support.app import AS_HOLDER, Site, running_site

HOLDERS = "rights-holders"
LABS = "token-of-labs"
NOW = datetime(2026, 11, 25, 16, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("labs")) as running:
        running.hub.users[LABS] = {"kind": "service", "name": "labs", "scopes": [Scope.MOUNTS], "admin": False}
        yield running


def start(site: Site, homes: Path, *, groups: tuple[str, ...] = (), api_url: str = "") -> dict[str, Path]:
    """What a start of novice's lab does before the process begins; the folders that it shows then."""
    spawner = LabSpawner(
        user=SimpleNamespace(name="novice", groups=[SimpleNamespace(name=group) for group in groups]),
        home_dir_template=str(homes / "novice"),
        platform_url=api_url or f"{site.url}/api",
        platform_token=LABS,
    )
    spawner.home_dir = str(homes / "novice")
    asyncio.run(spawner.show_releases())
    return {path.name: path.resolve() for path in (homes / "novice" / "releases").iterdir() if path.is_symlink()}


def note(homes: Path) -> str:
    return (homes / "novice" / "releases" / "README.md").read_text()


def test_a_lab_shows_the_folders_that_its_owner_may_read_and_no_others(site: Site, tmp_path: Path) -> None:
    shown = start(site, tmp_path, groups=(HOLDERS,))
    releases = site.services.settings.releases_path
    assert shown == {name: releases / name for name in ("future", "sky")}
    assert (tmp_path / "novice" / "releases" / "future" / "tables" / "stars").is_dir()
    assert "`future`" in note(tmp_path)


def test_a_lab_that_starts_after_its_owner_left_a_group_has_lost_the_folders(site: Site, tmp_path: Path) -> None:
    assert set(start(site, tmp_path, groups=(HOLDERS,))) == {"future", "sky"}
    assert start(site, tmp_path) == {}
    assert "future" not in note(tmp_path)
    assert set(start(site, tmp_path, groups=(HOLDERS,))) == {"future", "sky"}


def test_a_lab_starts_without_folders_and_says_why_when_the_web_apis_are_away(site: Site, tmp_path: Path) -> None:
    start(site, tmp_path, groups=(HOLDERS,))
    assert start(site, tmp_path, groups=(HOLDERS,), api_url="http://127.0.0.1:1/api") == {}
    assert "The Web APIs did not say which releases you may read" in note(tmp_path)


@pytest.mark.parametrize("headers", [{}, AS_HOLDER], ids=["nobody", "a rights holder"])
def test_nobody_but_the_hub_learns_of_folders(site: Site, headers: dict[str, str]) -> None:
    owner = {"name": "novice", "groups": [HOLDERS]}
    refused = site.client.post("/api/releases/mounts", json=owner, headers=headers)
    assert refused.status_code == 403
    assert str(site.services.settings.home) not in refused.text
    assert Scope.MOUNTS in refused.json()["error"]["message"]


def test_an_answer_that_leads_out_of_the_folder_is_no_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = (("../.ssh", Path("elsewhere")),)
    monkeypatch.setattr(site.services.releases, "readable_folders", lambda _: folders)
    with pytest.raises(UnavailableError):
        asyncio.run(release_folders.ask(f"{site.url}/api", LABS, name="novice", groups=()))


def test_what_a_person_keeps_beside_the_links_stays_theirs(tmp_path: Path) -> None:
    data, own = tmp_path / "data", tmp_path / "own"
    for folder in (data, own):
        folder.mkdir()
    home = tmp_path / "home"
    (home / "releases").mkdir(parents=True)
    (home / "releases" / "notes.txt").write_text("mine")
    (home / "releases" / "sky").mkdir()
    release_folders.show(home, {"sky": data, "deep": data}, at=NOW)
    assert (home / "releases" / "notes.txt").read_text() == "mine"
    assert not (home / "releases" / "sky").is_symlink()
    assert (home / "releases" / "deep").resolve() == data


def test_a_link_in_place_of_the_folder_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    for folder in (elsewhere, home):
        folder.mkdir()
    (elsewhere / "kept").symlink_to(tmp_path)
    (home / "releases").symlink_to(elsewhere)
    release_folders.show(home, {}, at=NOW)
    assert (elsewhere / "kept").is_symlink()
    assert not (home / "releases").is_symlink()
