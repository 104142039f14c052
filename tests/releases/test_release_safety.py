"""That no command, and no start of the platform, removes or changes what it was not asked for."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pachon.core.errors import ConflictError, UsageError
from pachon.releases import tiers
from pachon.releases.drafts import add_files, add_images, create, draft_ids
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.models import FileCollection, FileKind, ImageCollection, Lifecycle, Tier
from pachon.releases.publishing import publish, retire
from pachon.releases.registry import Entry, Registry
from pachon.releases.tiers import move_archived, remove_replaced
from pachon.releases.upkeep import recover, verify
from support.history import describe

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
RAW = FileCollection(id="raw", kind=FileKind.RAW, title="Raw")


def silent(_line: str) -> None:
    """Say nothing."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With `hist_dr1` published and archived, on fast storage, and `hist_dr2` a draft."""
    registry = Registry(tmp_path / "releases", tmp_path / "mass")
    for release_id in ("hist_dr1", "hist_dr2"):
        create(registry, describe(release_id))
        (tmp_path / "raw.txt").write_text(f"raw of {release_id}")
        add_files(registry, release_id, RAW, [tmp_path / "raw.txt"])
    publish(registry, "hist_dr1", at=AT)
    _archive(registry)
    return registry


def _archive(registry: Registry) -> None:
    def archived(entry: Entry) -> Entry:
        return replace(entry, lifecycle=Lifecycle.ARCHIVED)

    registry.change(lambda records: records.with_entry("hist_dr1", archived(records.entries["hist_dr1"])))


def _is_whole(registry: Registry) -> bool:
    files = FolderReleaseStore(registry.root, registry.mass).manifest("hist_dr1")
    return list(verify(registry)) == [] and [file.path for file in files] == ["files/raw/raw.txt", "release.yaml"]


@pytest.mark.parametrize("release_id", ["..", ".", "", "../releases", "hist_dr1/..", "Hist", "hist dr1", "hist_dr1\n"])
def test_a_command_for_what_is_no_id_of_a_release_touches_nothing(registry: Registry, release_id: str) -> None:
    commands: tuple[Callable[[], object], ...] = (
        lambda: retire(registry, release_id, at=AT, delete=True),
        lambda: publish(registry, release_id, at=AT),
        lambda: add_files(registry, release_id, RAW, []),
    )
    for command in commands:
        with pytest.raises(UsageError, match="is not the id of a release"):
            command()
    assert _is_whole(registry)
    assert draft_ids(registry) == ("hist_dr2",)


def test_a_release_that_another_process_has_moved_meanwhile_is_left_alone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = registry.only_one

    def late_lock(release_id: str) -> object:
        monkeypatch.setattr(registry, "only_one", lock)
        assert move_archived(registry, at=AT, report=silent) == ()
        assert remove_replaced(registry, at=AT, keep=timedelta()) == 1
        return lock(release_id)

    monkeypatch.setattr(registry, "only_one", late_lock)
    said: list[str] = []
    assert move_archived(registry, at=AT, report=said.append) == ()
    assert said == []
    assert registry.read().entries["hist_dr1"].place.tier is Tier.MASS
    assert _is_whole(registry)


def test_a_release_is_never_moved_onto_itself(registry: Registry) -> None:
    registry.mass.symlink_to(registry.root)
    said: list[str] = []
    assert move_archived(registry, at=AT, report=said.append) == ("hist_dr1",)
    assert "what lies there is in use" in said[0]
    assert _is_whole(registry)


def test_a_folder_on_mass_storage_that_the_registry_knows_is_never_removed_by_a_move(registry: Registry) -> None:
    place = replace(registry.read().entries["hist_dr1"].place, tier=Tier.MASS)
    registry.change(lambda records: records.with_replaced(place, AT))
    shutil.copytree(registry.root / "hist_dr1", registry.mass / "hist_dr1")
    assert move_archived(registry, at=AT, report=silent) == ("hist_dr1",)
    assert (registry.mass / "hist_dr1" / "manifest.jsonl").exists()
    remove_replaced(registry, at=AT, keep=timedelta())
    assert move_archived(registry, at=AT, report=silent) == ()
    assert _is_whole(registry)


@pytest.mark.parametrize("collection_id", ["../../../hist_dr1/files/raw", "Raw", "", "."])
def test_files_of_a_collection_whose_id_is_wrong_are_not_taken(
    registry: Registry, tmp_path: Path, collection_id: str
) -> None:
    more = tmp_path / "more.txt"
    more.write_text("more")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"'hist_dr2' cannot be described so: files\.1\.id: "):
        add_files(registry, "hist_dr2", replace(RAW, id=collection_id), [more])
    with pytest.raises(UsageError, match=r"images\.0\.id: "):
        add_images(registry, "hist_dr2", ImageCollection(id=collection_id, title="X"), [more])
    assert sorted(tmp_path.rglob("*")) == before
    publish(registry, "hist_dr2", at=AT)
    assert _is_whole(registry)


@pytest.mark.parametrize("name", ["hist_dr1.bak", "hist_dr1.20261125", "hist_dr1.0", "hist_dr2.tar", "hist_dr1.2.old"])
def test_copies_that_an_operator_keeps_beside_the_releases_are_no_drafts(registry: Registry, name: str) -> None:
    shutil.copytree(registry.root / "hist_dr1", registry.root / name)
    recover(registry, at=AT, keep=timedelta(), report=silent)
    assert draft_ids(registry) == ("hist_dr2",)
    publish(registry, "hist_dr2", at=AT)
    create(registry, describe("hist_dr1"), anew=True)
    retire(registry, "hist_dr2", at=AT, delete=True)
    assert (registry.root / name / "manifest.jsonl").exists()


def test_a_publication_that_was_not_decided_is_a_draft_again(registry: Registry) -> None:
    shutil.copytree(registry.root / "hist_dr1", registry.root / "hist_dr1.2")
    recover(registry, at=AT, keep=timedelta(), report=silent)
    assert draft_ids(registry) == ("hist_dr1", "hist_dr2")
    assert not (registry.root / "hist_dr1.2").exists()


def test_a_build_again_may_not_change_the_kind_of_a_release(registry: Registry, tmp_path: Path) -> None:
    kind = describe("hist_prompt").kind
    create(registry, replace(describe("hist_dr1"), kind=kind), anew=True)
    add_files(registry, "hist_dr1", RAW, [tmp_path / "raw.txt"])
    with pytest.raises(ConflictError, match="'hist_dr1' is a data release and cannot become a prompt"):
        publish(registry, "hist_dr1", at=AT)
    assert draft_ids(registry) == ("hist_dr1", "hist_dr2")
    retire(registry, "hist_dr1", at=AT, delete=True)
    assert tiers.remove_replaced(registry, at=AT, keep=timedelta()) == 1
