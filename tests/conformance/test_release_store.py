"""What every release store promises, on each store there is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pachon.core.errors import NotFoundError, UnavailableError
from pachon.releases.description import table_folder
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.living import write_validity
from pachon.releases.models import Partition
from pachon.releases.storage import ReleaseStore
from support.history import WORDS, make_history, texts
from support.memory_releases import MemoryReleases
from support.stores import release_of, snapshot_of

TABLE = f"hist_prompt.{texts('hist_prompt')['table']}"
OLD_TABLE = f"hist_dr2.{texts('hist_dr2')['table']}"
CHANGED_AT = datetime(2026, 10, 1, 4, tzinfo=UTC)
NEVER = datetime(2020, 1, 1, tzinfo=UTC)
IMAGE = f"images/coadds/{texts('hist_dr2')['image']}.fits"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The little history, in which the file of one living table was replaced by two at a moment."""
    root = tmp_path_factory.mktemp("releases")
    make_history(root, root / ".mass")
    folder = table_folder(root / "hist_prompt", texts("hist_prompt")["table"])
    (first,) = snapshot_of(FolderReleaseStore(root), TABLE).partitions
    versions = []
    for number in range(2):
        path = folder / "versions" / f"{number}.parquet"
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(first.path, path)
        versions.append(Partition(first.order, first.pixel, path, first.row_count, valid_from=CHANGED_AT))
    write_validity(folder, [Partition(first.order, first.pixel, first.path, 2, valid_to=CHANGED_AT), *versions])
    return root


def _folder_store(root: Path) -> ReleaseStore:
    return FolderReleaseStore(root, root / ".mass")


def _memory_store(root: Path) -> ReleaseStore:
    """As the other store found it, told by hand."""
    store = FolderReleaseStore(root, root / ".mass")
    base = Partition(0, 4, root / "0.parquet", 2, valid_to=CHANGED_AT)
    new = Partition(0, 4, root / "1.parquet", 2, valid_from=CHANGED_AT)
    names = [table.qualified_name for release in store.releases() for table in release.tables]
    plain = {name: snapshot_of(store, name).partitions for name in names if not name.startswith("hist_prompt")}
    files = {release.id: tuple(store.manifest(release)) for release in store.releases()}
    return MemoryReleases(*store.releases(), partitions={**plain, TABLE: (base, new, new)}, files=files)


@pytest.fixture(params=[_folder_store, _memory_store])
def store(request: pytest.FixtureRequest, folders: Path) -> ReleaseStore:
    make: Callable[[Path], ReleaseStore] = request.param
    return make(folders)


def test_releases_come_sorted_by_id(store: ReleaseStore) -> None:
    assert [release.id for release in store.releases()] == sorted(WORDS)


def test_a_living_table_is_read_as_of_a_moment_from_the_files_valid_then(store: ReleaseStore) -> None:
    before = snapshot_of(store, TABLE, as_of=NEVER)
    just_before = snapshot_of(store, TABLE, as_of=datetime(2026, 10, 1, 3, 59, 59, 999_999, tzinfo=UTC))
    after = snapshot_of(store, TABLE, as_of=CHANGED_AT)
    assert (before.table.row_count, len(before.partitions)) == (2, 1)
    assert just_before == before
    assert (after.table.row_count, len(after.partitions)) == (4, 2)
    assert all(part.valid_from == CHANGED_AT for part in after.partitions)
    assert snapshot_of(store, TABLE) == after


def test_an_immutable_table_is_the_same_as_of_any_moment(store: ReleaseStore) -> None:
    assert snapshot_of(store, OLD_TABLE, as_of=NEVER) == snapshot_of(store, OLD_TABLE)
    assert snapshot_of(store, OLD_TABLE).table.row_count == 2


def test_the_manifest_is_sorted_and_every_path_in_it_is_found(store: ReleaseStore) -> None:
    listed = store.manifest(release_of(store, "hist_dr2"))
    files = list(listed)
    assert list(listed) == files
    assert [file.path for file in files] == sorted(file.path for file in files)
    assert {"release.yaml", "schema.yaml", IMAGE} <= {file.path for file in files}
    for file in files:
        stored, path = store.file(release_of(store, "hist_dr2"), file.path)
        assert stored == file
        assert path.as_posix().endswith(f"hist_dr2/{file.path}")


@pytest.mark.parametrize(
    "path",
    ["", ".", "nothing", "images", "images/coadds", "manifest.jsonl", "../hist_dr1/release.yaml", "/etc/passwd",
     "./release.yaml", "images//coadds", f"{IMAGE}/", f"images/../{IMAGE}", IMAGE.upper(), "a.yaml\0", "zz", "\n"],
)  # fmt: skip
def test_a_path_that_the_manifest_does_not_have_is_not_found(store: ReleaseStore, path: str) -> None:
    with pytest.raises(NotFoundError, match="has no file"):
        store.file(release_of(store, "hist_dr2"), path)


@pytest.mark.parametrize(
    "under", ["images", "images/coadds", "/images/coadds/", IMAGE, "image", "tables", "zz", "a", "release.yaml", "."]
)
def test_what_is_under_a_folder_is_what_begins_with_its_name(store: ReleaseStore, under: str) -> None:
    release, begin = release_of(store, "hist_dr2"), f"{under.strip('/')}/"
    listed = store.manifest(release, under=under)
    assert list(listed) == [file for file in store.manifest(release) if f"{file.path}/".startswith(begin)]
    assert list(listed) == list(listed)


@pytest.mark.parametrize("build", ["", "hist_dr2.9", "hist_dr3/../nothing"])
def test_a_build_that_is_not_there_cannot_be_read_at_the_moment(store: ReleaseStore, build: str) -> None:
    release = replace(release_of(store, "hist_dr2"), build=build)
    doors = (
        lambda: store.folder(release),
        lambda: list(store.manifest(release)),
        lambda: store.file(release, "release.yaml"),
        lambda: store.snapshot(release, release.tables[0]),
    )
    for door in doors:
        with pytest.raises(UnavailableError, match="Release 'hist_dr2' cannot be read at the moment"):
            door()
