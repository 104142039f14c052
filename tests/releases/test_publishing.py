import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pachon.core.errors import ConflictError, NotFoundError, SetupError, UsageError
from pachon.releases.drafts import add_files, add_images, add_table, create
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.manifest import sha256_of
from pachon.releases.models import FileCollection, FileKind, ImageCollection, Tier
from pachon.releases.publishing import publish, retire
from pachon.releases.registry import Registry
from pachon.releases.tiers import move_archived, remove_replaced
from pachon.releases.upkeep import problems, recover, verify
from support.history import describe, make_draft, make_history, texts, write_image, write_sources

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIFECYCLES = {
    "hist_deep": "current",
    "hist_dr1": "archived",
    "hist_dr2": "previous",
    "hist_dr3": "current",
    "hist_prompt": "current",
}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("history")
    make_history(root / "releases", root / "mass")
    return root


@pytest.fixture
def registry(history: Path, tmp_path: Path) -> Registry:
    shutil.copytree(history, tmp_path, dirs_exist_ok=True)
    return Registry(tmp_path / "releases", tmp_path / "mass")


def lifecycles(registry: Registry) -> dict[str, str]:
    """As readers see them."""
    releases = FolderReleaseStore(registry.root, registry.mass).releases()
    return {release.id: release.lifecycle.value for release in releases}


def silent(_line: str) -> None:
    """Say nothing."""


def test_a_new_data_release_moves_the_others_one_step_down_and_no_other_kind(registry: Registry) -> None:
    assert lifecycles(registry) == LIFECYCLES
    (dr1,) = (each for each in FolderReleaseStore(registry.root, registry.mass).releases() if each.id == "hist_dr1")
    assert [event.event for event in dr1.history] == ["published", "previous", "archived", "moved to mass storage"]
    assert (dr1.tier, dr1.tables[0].row_count, dr1.images[0].file_count) == (Tier.MASS, 2, 1)
    assert [each.kind for each in dr1.files] == [kind for kind in FileKind if kind is not FileKind.OTHER]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2018, 1, 1), ("archived", "previous", "current")),
        (date(2025, 12, 1), ("previous", "archived", "current")),
        (date(2026, 6, 1), ("current", "archived", "previous")),
    ],
)
def test_a_data_release_takes_the_place_that_its_date_gives_it(
    registry: Registry, day: date, expected: tuple[str, ...]
) -> None:
    create(registry, replace(describe("hist_dr3"), id="hist_dr4", date=day))
    raw = registry.root / "raw.txt"
    raw.touch()
    add_files(registry, "hist_dr4", FileCollection(id="raw", kind=FileKind.RAW, title="Raw"), [raw])
    publish(registry, "hist_dr4", at=AT)
    found = lifecycles(registry)
    assert tuple(found[release_id] for release_id in ("hist_dr4", "hist_dr2", "hist_dr3")) == expected
    assert found["hist_dr1"] == "archived"


def test_an_archived_release_is_read_from_mass_storage_and_its_fast_copy_goes_when_no_query_reads_it(
    registry: Registry,
) -> None:
    store = FolderReleaseStore(registry.root, registry.mass)
    files = list(store.manifest("hist_dr1"))
    for file in files:
        path = store.file("hist_dr1", file.path)[1]
        assert path.is_relative_to(registry.mass)
        assert sha256_of(path) == file.sha256
    assert remove_replaced(registry, at=AT, keep=timedelta(days=365)) == 0
    assert (registry.root / "hist_dr1").is_dir()
    assert remove_replaced(registry, at=AT, keep=timedelta(days=1)) == 1
    assert not (registry.root / "hist_dr1").exists()
    assert list(verify(registry)) == []


def test_a_damaged_file_is_not_moved_to_mass_storage(history: Path, tmp_path: Path) -> None:
    registry = Registry(shutil.copytree(history / "releases", tmp_path / "releases"), tmp_path / "mass")
    records = json.loads(registry.path.read_text())
    records["entries"]["hist_dr1"]["place"]["tier"] = "fast"
    registry.path.write_text(json.dumps({**records, "replaced": []}))
    path = registry.root / "hist_dr1" / "images" / "coadds" / f"{texts('hist_dr1')['image']}.fits"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    said: list[str] = []
    assert move_archived(registry, at=AT, report=said.append) == ("hist_dr1",)
    assert "its digest is not that of the manifest" in said[0]
    assert registry.read().entries["hist_dr1"].place.tier is Tier.FAST
    assert [str(each) for each in verify(registry)] == [f"hist_dr1: images/coadds/{path.name} has changed"]
    assert list(verify(registry, quick=True)) == []


def test_a_release_that_is_made_again_keeps_its_place_in_the_order_of_releases(registry: Registry) -> None:
    with pytest.raises(ConflictError, match="'hist_dr2' exists, and releases do not change"):
        create(registry, describe("hist_dr2"))
    create(registry, describe("hist_dr2"), anew=True)
    raw = registry.root / "raw.txt"
    raw.write_text("one more")
    add_files(registry, "hist_dr2", FileCollection(id="raw", kind=FileKind.RAW, title="Raw"), [raw])
    publish(registry, "hist_dr2", at=AT)
    assert lifecycles(registry) == LIFECYCLES
    store = FolderReleaseStore(registry.root, registry.mass)
    assert [file.path for file in store.manifest("hist_dr2")] == ["files/raw/raw.txt", "release.yaml"]
    assert store.folder("hist_dr2").name == "hist_dr2.2"


def test_a_retired_release_is_not_served_at_all_until_it_is_published_again(registry: Registry) -> None:
    store = FolderReleaseStore(registry.root, registry.mass)
    retire(registry, "hist_dr3", at=AT)
    assert "hist_dr3" not in lifecycles(registry)
    with pytest.raises(NotFoundError):
        store.folder("hist_dr3")
    publish(registry, "hist_dr3", at=AT)
    assert lifecycles(registry) == LIFECYCLES
    assert [event.event for event in registry.read().entries["hist_dr3"].history] == [
        "published", "retired", "served again",
    ]  # fmt: skip


def test_a_deleted_release_is_forgotten_at_once_and_its_files_go_later(registry: Registry) -> None:
    retire(registry, "hist_deep", at=AT, delete=True)
    assert "hist_deep" not in lifecycles(registry)
    assert (registry.root / "hist_deep").is_dir()
    remove_replaced(registry, at=AT + timedelta(days=2), keep=timedelta(days=1))
    assert not (registry.root / "hist_deep").exists()
    with pytest.raises(NotFoundError, match="There is no release 'hist_deep'; there are: hist_dr1, "):
        retire(registry, "hist_deep", at=AT)


def test_a_draft_is_published_only_when_it_is_complete(tmp_path: Path) -> None:
    registry, words = Registry(tmp_path / "releases"), texts("hist_dr1")
    sources = write_sources(tmp_path, "hist_dr1")
    create(registry, describe("hist_dr1"))
    with pytest.raises(SetupError, match="neither tables nor images nor files"):
        publish(registry, "hist_dr1", at=AT)
    with pytest.raises(NotFoundError, match="has no table 'x'; it has: none; --schema brings them"):
        add_table(registry, "hist_dr1", "x", [sources / "table.csv"])
    add_table(registry, "hist_dr1", words["table"], [sources / "table.csv"], schema=sources / "schema.yaml")
    with pytest.raises(SetupError, match=r"Table hist_dr1\.quollhedgevisits of the schema is missing"):
        publish(registry, "hist_dr1", at=AT)
    with pytest.raises(UsageError, match="Nothing was imported"):
        add_table(registry, "hist_dr1", words["visits"], [sources / "table.csv"])
    add_table(registry, "hist_dr1", words["visits"], [sources / "visits.csv"])
    with pytest.raises(ConflictError, match="has table 'quollhedgevisits' already"):
        add_table(registry, "hist_dr1", words["visits"], [sources / "visits.csv"])
    assert lifecycles(registry) == {}
    publish(registry, "hist_dr1", at=AT)
    assert lifecycles(registry) == {"hist_dr1": "current"}
    with pytest.raises(NotFoundError, match="There is no draft 'hist_dr1'; there are: none"):
        publish(registry, "hist_dr1", at=AT)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda draft, _: (draft / "images" / "coadds" / "link.fits").symlink_to("/etc/hostname"), "holds no links"),
        (lambda draft, _: os.mkfifo(draft / "files" / "raw" / "pipe"), "neither a file nor a folder"),
        (lambda draft, _: (draft / "files" / "raw" / ".x.unfinished").touch(), "is not complete"),
        (lambda draft, _: (draft / "files" / "else").mkdir() or (draft / "files" / "else" / "x").touch(),
         "holds 'files/else', of which its descriptions say nothing"),
        (lambda draft, _: (draft / "schema.yaml").unlink(),
         r"holds 'tables/zibbetmoortable', of which its descriptions say nothing"),
        (lambda draft, _: shutil.rmtree(draft / "images" / "coadds"), "Collection 'images/coadds' .* has no files"),
        (lambda draft, words: next((draft / "tables" / words["table"]).rglob("Npix*.parquet")).unlink(),
         "is missing or not a Parquet file"),
        (lambda draft, words: next((draft / "tables" / words["visits"]).rglob("part*.parquet")).write_bytes(b"PAR1"),
         "is missing or not a Parquet file"),
        (lambda draft, words: (draft / "tables" / words["visits"] / "partition_info.csv").write_text(
            "file,num_rows\npart-00000.parquet,3\n"), "has 2 rows, not the 3 that are listed"),
        (lambda draft, _: (draft / "release.yaml").write_text("id: hist_dr2\n"), "title: Field required"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_draft_is_said_and_nothing_is_published(
    tmp_path: Path, spoil: object, sentence: str
) -> None:
    registry = Registry(tmp_path / "releases")
    make_draft(registry, "hist_dr2")
    spoil(registry.drafts / "hist_dr2", texts("hist_dr2"))
    with pytest.raises((SetupError, UsageError), match=sentence):
        publish(registry, "hist_dr2", at=AT)
    assert lifecycles(registry) == {}


def test_images_under_embargo_must_say_when_they_were_taken(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "releases")
    create(registry, describe("hist_dr2"))
    image = tmp_path / "a.fits"
    write_image(image, "x", AT)
    add_images(registry, "hist_dr2", ImageCollection(id="night", title="Night", embargo_hours=1), [image])
    kept = registry.drafts / "hist_dr2" / "images" / "night" / "a.fits"
    kept.write_bytes(kept.read_bytes().replace(b"DATE-OBS", b"DATE-OUT"))
    with pytest.raises(SetupError, match="must say when it was taken: DATE-END or DATE-OBS"):
        publish(registry, "hist_dr2", at=AT)
    kept.write_bytes(kept.read_bytes().replace(b"DATE-OUT", b"DATE-END"))
    publish(registry, "hist_dr2", at=AT)
    (file, _) = FolderReleaseStore(registry.root).manifest("hist_dr2")
    assert file.taken_at == AT - timedelta(seconds=30)


def test_files_are_added_once_and_another_of_the_same_name_is_refused(tmp_path: Path) -> None:
    registry, raw = Registry(tmp_path / "releases"), FileCollection(id="raw", kind=FileKind.RAW, title="Raw")
    create(registry, describe("hist_dr2"))
    source = tmp_path / "a.raw"
    source.write_text("one")
    assert add_files(registry, "hist_dr2", raw, [source], link=True) == 1
    assert source.stat().st_nlink == 2
    assert add_files(registry, "hist_dr2", raw, [source]) == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.raw").write_text("another")
    with pytest.raises(ConflictError, match=r"has another 'a\.raw' already"):
        add_files(registry, "hist_dr2", raw, [tmp_path / "other" / "a.raw"])
    with pytest.raises(UsageError, match=r"Two of the files are called 'a\.raw'"):
        add_files(registry, "hist_dr2", raw, [source, tmp_path / "other"])
    with pytest.raises(UsageError, match="There is no file"):
        add_files(registry, "hist_dr2", raw, [tmp_path / "nothing"])


def test_a_release_that_somebody_works_on_is_left_to_them(registry: Registry) -> None:
    with registry.only_one("hist_dr2"), pytest.raises(ConflictError, match="'hist_dr2' is being changed by another"):
        retire(registry, "hist_dr2", at=AT)


def test_a_damaged_registry_stops_commands_and_readers_keep_what_they_know(registry: Registry) -> None:
    store = FolderReleaseStore(registry.root, registry.mass)
    before = store.releases()
    registry.path.write_text('{"entries": {"x": 1}}')
    with pytest.raises(SetupError, match=r"registry\.json is damaged: entries\.x: "):
        publish(registry, "hist_dr3", at=AT)
    assert store.releases() == before


def test_verification_finds_every_change_of_a_published_release_and_repeats_nothing(registry: Registry) -> None:
    said: list[str] = []
    recover(registry, at=AT, keep=timedelta(days=10_000), report=said.append)
    assert said == []
    folder = registry.root / "hist_dr2"
    (folder / "schema.yaml").write_text((folder / "schema.yaml").read_text().replace("Visits", "visits"))
    (folder / "images" / "more.fits").touch()
    shutil.rmtree(folder / "files" / "raw")
    assert list(problems(folder)) == [
        f"files/raw/2019-01-01/{texts('hist_dr2')['raw']}.txt is missing",
        "images/more.fits does not belong to it",
        "schema.yaml has changed",
    ]
    assert {each.release_id for each in verify(registry)} == {"hist_dr2"}
    assert list(verify(registry, only=frozenset({"hist_dr1", "hist_dr3"}))) == []
