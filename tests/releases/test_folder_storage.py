import logging
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pachon.core.errors import ConflictError, NotFoundError, SetupError, UnavailableError
from pachon.releases.folder_storage import FolderReleaseStore, read_release
from pachon.releases.hats.writer import CatalogueFormat, write_catalogue
from pachon.releases.manifest import MANIFEST
from pachon.releases.publishing import publication
from pachon.releases.registry import Registry
from pachon.releases.tiers import remove_replaced
from pachon.releases.upkeep import recover, verify
from support.skies import make_release


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    make_release(root, rows=600)
    return root / "sky"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_release(tmp_path, rows=600)
    return tmp_path


def test_a_store_without_a_folder_has_no_releases(tmp_path: Path) -> None:
    assert FolderReleaseStore(tmp_path / "nowhere").releases() == ()


def test_a_published_release_shows_its_table_with_its_row_count(root: Path) -> None:
    store = FolderReleaseStore(root)
    (release,) = store.releases()
    assert (release.id, release.simulated, release.tables[0].row_count) == ("sky", True, 600)
    snapshot = store.snapshot("sky.stars")
    assert snapshot.table == release.tables[0]
    assert sum(part.row_count for part in snapshot.partitions) == 600


@pytest.mark.parametrize("name", ["sky.galaxies", "sky", "", "../sky.stars", "other.stars"])
def test_an_unknown_table_is_not_found(root: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match="There is no table"):
        FolderReleaseStore(root).snapshot(name)


def folders(root: Path) -> list[str]:
    """Names of folders that readers may be sent to, and of drafts."""
    return sorted(path.name for path in (*root.iterdir(), *root.glob(".drafts/*")) if path.name[0] != ".")


def test_a_release_that_is_replaced_is_read_again_and_its_old_files_are_kept_for_running_queries(root: Path) -> None:
    store = FolderReleaseStore(root)
    before = store.snapshot("sky.stars")
    make_release(root, rows=500)
    after = store.snapshot("sky.stars")
    assert (before.table.row_count, after.table.row_count) == (600, 500)
    assert sum(pq.read_metadata(part.path).num_rows for part in before.partitions) == 600
    assert folders(root) == ["registry.json", "sky", "sky.2"]
    registry, now = Registry(root), datetime.now(tz=UTC)
    assert remove_replaced(registry, at=now, keep=timedelta(hours=1)) == 0
    assert remove_replaced(registry, at=now + timedelta(hours=2), keep=timedelta(hours=1)) == 1
    assert folders(root) == ["registry.json", "sky.2"]
    make_release(root, rows=400)
    assert store.snapshot("sky.stars").table.row_count == 400


def test_a_release_is_not_seen_while_it_is_being_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def write_and_look(rows: Iterable[pa.RecordBatch], folder: Path, form: CatalogueFormat) -> object:
        partitions = write_catalogue(rows, folder, form)
        seen.append(FolderReleaseStore(tmp_path).releases())
        return partitions

    monkeypatch.setattr("support.skies.write_catalogue", write_and_look)
    make_release(tmp_path, rows=600)
    assert seen == [()]
    assert len(FolderReleaseStore(tmp_path).releases()) == 1


def _interrupted_build(root: Path) -> None:
    with publication(root, "sky") as folder:
        (folder / "release.yaml").write_text("id: sky")
        raise KeyboardInterrupt


def test_a_build_that_is_interrupted_leaves_the_earlier_release_and_nothing_else(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted_build(root)
    assert FolderReleaseStore(root).snapshot("sky.stars").table.row_count == 600
    assert folders(root) == ["registry.json", "sky"]


def test_what_a_killed_build_left_behind_is_never_served_and_goes_with_the_next(tmp_path: Path, sky: Path) -> None:
    leftover = shutil.copytree(sky, tmp_path / ".drafts" / "sky") / "more.txt"
    leftover.touch()
    assert FolderReleaseStore(tmp_path).releases() == ()
    make_release(tmp_path, rows=500)
    assert len(FolderReleaseStore(tmp_path).releases()) == 1
    assert not list(tmp_path.rglob("more.txt"))


def test_releases_of_a_time_before_the_registry_are_served_and_taken_into_it(tmp_path: Path, sky: Path) -> None:
    ignored = shutil.ignore_patterns(MANIFEST)
    for release_id, year in (("old", 2020), ("older", 2019), ("oldest", 2018)):
        folder = shutil.copytree(sky, tmp_path / release_id, ignore=ignored)
        for name in ("release.yaml", "schema.yaml"):
            text = (folder / name).read_text().replace("2020-01-01", f"{year}-01-01")
            text = text.replace("kind: catalogue", "kind: data release")
            (folder / name).write_text(re.sub(r"(id|name): sky$", rf"\1: {release_id}", text, flags=re.MULTILINE))
    (tmp_path / ".building-sky-0123abcd").mkdir()
    store = FolderReleaseStore(tmp_path)
    lifecycles = [("old", "current"), ("older", "previous"), ("oldest", "previous")]
    assert [(release.id, release.lifecycle.value) for release in store.releases()] == lifecycles
    with pytest.raises(UnavailableError, match="'pachon release verify' lists them"):
        list(store.manifest("old"))
    said: list[str] = []
    recover(Registry(tmp_path), at=datetime.now(tz=UTC), keep=timedelta(), report=said.append)
    assert said == [f"{release_id}: taken into the registry." for release_id, _ in lifecycles]
    assert [(release.id, release.lifecycle.value) for release in store.releases()] == lifecycles
    assert store.snapshot("oldest.stars").table.row_count == 600
    assert len(list(store.manifest("old"))) > 5
    assert folders(tmp_path) == ["old", "older", "oldest", "registry.json"]
    assert list(verify(Registry(tmp_path))) == []
    recover(Registry(tmp_path), at=datetime.now(tz=UTC), keep=timedelta(), report=said.append)
    assert len(said) == 3


def test_a_second_build_of_a_release_is_refused_and_does_not_harm_the_first(root: Path, sky: Path) -> None:
    with publication(root, "sky") as folder:
        with pytest.raises(ConflictError, match="being changed by another process"):
            make_release(root, rows=500)
        shutil.copytree(sky, folder, dirs_exist_ok=True)
    assert FolderReleaseStore(root).snapshot("sky.stars").table.row_count == 600


def test_a_release_that_cannot_be_read_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"release\.yaml"), publication(tmp_path, "sky"):
        pass
    assert FolderReleaseStore(tmp_path).releases() == ()


def test_a_damaged_release_is_logged_and_hides_no_other(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_release(root, release_id="other", rows=500)
    (root / "sky" / "schema.yaml").write_text("tables: 1")
    with caplog.at_level(logging.WARNING):
        releases = FolderReleaseStore(root).releases()
    assert [release.id for release in releases] == ["other"]
    assert "Release sky is left out: schema.yaml.name: is missing" in caplog.text


def test_a_release_whose_storage_was_away_is_served_again_soon_after_that_is_back(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = datetime(2026, 11, 25, tzinfo=UTC)
    store = FolderReleaseStore(root, now=lambda: at)
    (root / "sky").rename(root / ".away")
    for _ in range(3):
        assert store.releases() == ()
        at += timedelta(minutes=1)
    assert len(caplog.messages) == 1
    (root / ".away").rename(root / "sky")
    assert [release.id for release in store.releases()] == ["sky"]


def test_a_registry_that_the_system_does_not_let_read_leaves_releases_as_they_were(root: Path) -> None:
    at = datetime(2026, 11, 25, tzinfo=UTC)
    store = FolderReleaseStore(root, now=lambda: at)
    before, registry = store.releases(), Registry(root).path
    registry.rename(root / ".registry")
    registry.mkdir()
    assert store.releases() == before != ()
    registry.rmdir()
    (root / ".registry").rename(registry)
    make_release(root, release_id="other", rows=500)
    assert [release.id for release in store.releases()] == ["other", "sky"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("audience", "nobody", "audience"),
        ("date", "soon", "date"),
        ("colour", "red", "colour"),
        ("id", "Sky!", "id"),
        ("id", "night", "must have its name"),
        ("id", "tap_schema", "id: Value error, 'tap_schema' is a schema of the TAP service itself"),
        ("id", "tap_upload", "id: Value error, 'tap_upload' is a schema of the TAP service itself"),
    ],
)
def test_a_wrong_release_description_is_refused_by_its_key(
    sky: Path, tmp_path: Path, key: str, value: str, message: str
) -> None:
    folder = tmp_path / "sky"
    folder.mkdir()
    (folder / "schema.yaml").write_text((sky / "schema.yaml").read_text())
    (folder / "tables").symlink_to(sky / "tables")
    described = yaml.safe_load((sky / "release.yaml").read_text())
    (folder / "release.yaml").write_text(yaml.safe_dump(described | {key: value}))
    with pytest.raises(SetupError, match=message):
        read_release(folder)
