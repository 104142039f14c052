"""Who may query, download and mount what of the little history."""

import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pachon.core.errors import ConflictError, NotFoundError, PachonError, QuerySyntaxError
from pachon.core.sky import Cone
from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.queries.service import QueryService
from pachon.queries.tiles import TileService
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.listing import FileList, ListFormat
from pachon.releases.models import ReleaseKind, StoredFile
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access
from pachon.rights.policy import RightsPolicy
from support.asking import Executions
from support.history import EMBARGO_ENDS_AT, WORDS, embargoed_canaries, make_history, texts
from support.memory_releases import MemoryReleases
from support.stores import release_of

BEFORE = datetime(2021, 12, 31, 23, 59, 59, tzinfo=UTC)
TODAY = datetime(2026, 11, 25, tzinfo=UTC)
HOLDER = Principal("astronomer", frozenset({"rights-holders"}), frozenset({Scope.QUERY}))
DEEP = Principal("diver", frozenset({"deep-team"}), frozenset({Scope.QUERY}))
ADMIN = Principal("admin", frozenset(), frozenset({Scope.QUERY, Scope.ADMIN}))
HOLDER_AND_ADMIN = replace(ADMIN, groups=HOLDER.groups)
ARCHIVED, CURRENT = (f"{each}.{texts(each)['table']}" for each in ("hist_dr1", "hist_dr3"))
HUSHED = f"images/visits/{embargoed_canaries()[0].decode()}.fits"
COADD = f"images/coadds/{texts('hist_prompt')['image']}.fits"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderReleaseStore:
    root = tmp_path_factory.mktemp("history")
    make_history(root / "releases", root / "mass")
    return FolderReleaseStore(root / "releases", root / "mass")


def service(store: FolderReleaseStore, at: datetime = TODAY) -> ReleaseService:
    policy = RightsPolicy(frozenset({"rights-holders"}))
    return ReleaseService(store, policy, base_url="https://pachon.example", now=lambda: at)


def ids(service: ReleaseService, principal: Principal, access: Access) -> list[str]:
    return [release.id for release in service.visible(principal, access)]


def test_an_archived_release_is_known_and_downloaded_but_not_queried(store: FolderReleaseStore) -> None:
    assert ids(service(store), ANONYMOUS, Access.METADATA) == ["hist_dr1"]
    assert ids(service(store), ANONYMOUS, Access.FILE) == ["hist_dr1"]
    assert ids(service(store), ANONYMOUS, Access.QUERY) == []
    assert ids(service(store), HOLDER, Access.QUERY) == ["hist_dr2", "hist_dr3", "hist_prompt"]


def test_what_was_made_from_a_release_stays_for_those_who_may_read_it_also_when_it_is_archived(
    store: FolderReleaseStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pachon.rights")
    deep, gone = f"hist_deep.{texts('hist_deep')['table']}", "hist_dr9.table"
    made_from = (ARCHIVED, CURRENT, deep, gone)
    for principal, lost in ((ANONYMOUS, [CURRENT, deep, gone]), (HOLDER, [deep, gone]), (ADMIN, [gone])):
        assert [*service(store).out_of_reach(principal, made_from, Access.QUERY)] == sorted(lost)
    assert f"query access to release hist_deep, what was made from {deep}" in caplog.messages[0]


def _refusals(releases: ReleaseService, principal: Principal, name: str) -> list[PachonError]:
    """What the doors of queries say: cone search, tiles and ADQL."""
    queries = QueryService(releases, cast("Any", None), Executions())
    tiles = TileService(releases, cast("Any", None))
    doors = (
        lambda: releases.table(principal, name),
        lambda: queries.prepare_cone(principal, name, Cone(56.75, 24.12, 1)),
        lambda: tiles.counts(principal, name, 0, 4),
        lambda: tiles.etag(principal, name, 0, 4),
        lambda: queries.ask(principal, f"SELECT 1 AS one FROM {name}"),
        lambda: queries.ask(principal, f"SELECT 1 AS one FROM hist_dr9.x, {name}"),
    )
    found = []
    for door in doors:
        with pytest.raises(PachonError) as caught:
            door()
        found.append(caught.value)
    return found


@pytest.mark.parametrize("name", [ARCHIVED, ARCHIVED.upper()])
def test_queries_of_an_archived_release_say_since_when_and_name_the_bulk_download(
    store: FolderReleaseStore, name: str
) -> None:
    told = r"Release hist_dr1 is archived since \d{4}-\d\d-\d\d and not queried any more; its files are at https://pachon.example/api/releases/hist_dr1/files"
    *plain, adql, other = _refusals(service(store), HOLDER, name)
    for error in (*plain, adql):
        assert re.search(told, error.message)
    assert {type(error) for error in plain} == {ConflictError}
    assert isinstance(adql, QuerySyntaxError)
    assert adql.position is not None
    assert "unknown table 'hist_dr9.x'" in other.message


def test_who_asks_an_archived_release_is_told_which_newer_one_has_that_table_and_is_open_to_them(
    store: FolderReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = service(store)
    (table,) = (each for release in store.releases() for each in release.tables if each.qualified_name == ARCHIVED)
    current = next(each for each in releases.visible(HOLDER, Access.QUERY) if each.kind is ReleaseKind.DATA_RELEASE)
    newer = replace(current, tables=(replace(table, schema=current.id),))
    listed = tuple(newer if each.id == current.id else each for each in store.releases())
    monkeypatch.setattr(type(store), "releases", lambda _: listed)
    assert f"ask {current.id} instead;" in str(releases.refusal(HOLDER, ARCHIVED))
    assert "instead" not in str(releases.refusal(ANONYMOUS, ARCHIVED))


def test_nobody_learns_that_a_release_is_archived_who_may_not_know_that_it_exists(store: FolderReleaseStore) -> None:
    unknown = ARCHIVED.replace("dr1", "dr9")
    releases = service(store, BEFORE)
    hidden = [str(error) for error in _refusals(releases, ANONYMOUS, ARCHIVED)]
    assert [text.replace("hist_dr1", "hist_dr9") for text in hidden] == [
        str(error) for error in _refusals(releases, ANONYMOUS, unknown)
    ]
    assert all("archived" not in text for text in hidden)


def test_files_are_for_those_who_may_read_the_release_and_read_like_nothing_to_others(
    store: FolderReleaseStore,
) -> None:
    releases = service(store)
    assert releases.file(ANONYMOUS, "hist_dr1", "release.yaml")[1].is_file()
    assert [file.path for file in releases.manifest(DEEP, "hist_deep")][-1].startswith("tables/")
    for principal in (ANONYMOUS, HOLDER):
        for ask in (releases.manifest, lambda *who: releases.file(*who, "release.yaml")):
            with pytest.raises(NotFoundError) as hidden:
                ask(principal, "hist_deep")
            with pytest.raises(NotFoundError) as nothing:
                ask(principal, "hist_none")
            assert hidden.value.message.replace("hist_deep", "hist_none") == nothing.value.message


def test_an_image_under_embargo_is_for_nobody_to_the_second(store: FolderReleaseStore) -> None:
    just_before, then = (service(store, at) for at in (EMBARGO_ENDS_AT - timedelta(microseconds=1), EMBARGO_ENDS_AT))
    absent = HUSHED.replace("hush", "none")
    with pytest.raises(NotFoundError, match="has no file") as hidden:
        just_before.file(HOLDER, "hist_prompt", HUSHED)
    with pytest.raises(NotFoundError) as nothing:
        just_before.file(HOLDER, "hist_prompt", absent)
    assert hidden.value.message.replace(HUSHED, absent) == nothing.value.message
    assert just_before.file(HOLDER, "hist_prompt", COADD)[0].path == COADD
    assert HUSHED not in [file.path for file in just_before.manifest(HOLDER, "hist_prompt")]
    assert then.file(HOLDER, "hist_prompt", HUSHED)[0].path == HUSHED
    assert HUSHED in [file.path for file in then.manifest(HOLDER, "hist_prompt")]


def test_a_list_that_is_read_twice_is_the_same_though_an_embargo_ends_between(store: FolderReleaseStore) -> None:
    moments = [EMBARGO_ENDS_AT - timedelta(seconds=1)]
    policy = RightsPolicy(frozenset({"rights-holders"}))
    releases = ReleaseService(store, policy, now=lambda: moments[-1])
    listed = releases.manifest(HOLDER, "hist_prompt")
    before = list(listed)
    moments.append(EMBARGO_ENDS_AT)
    assert list(listed) == before
    assert {file.path for file in releases.manifest(HOLDER, "hist_prompt")} - {file.path for file in before} == {HUSHED}


def test_counts_leave_out_images_under_embargo_but_for_the_administrator(store: FolderReleaseStore) -> None:
    whole = release_of(store, "hist_prompt")

    def told(principal: Principal, at: datetime) -> tuple[int, int, int, int]:
        shown = service(store, at).shown(principal, whole)
        (visits,) = (each for each in shown.images if each.id == "visits")
        (coadds,) = (each for each in shown.images if each.id == "coadds")
        return coadds.file_count, visits.file_count, visits.size_bytes, shown.size_bytes

    size_bytes = 2 * 2880
    assert told(HOLDER, TODAY) == (1, 0, 0, whole.size_bytes - size_bytes)
    for principal, at in ((ADMIN, TODAY), (HOLDER, EMBARGO_ENDS_AT)):
        assert told(principal, at) == (1, 1, size_bytes, whole.size_bytes)


def test_an_image_that_does_not_say_when_it_was_taken_stays_under_embargo(store: FolderReleaseStore) -> None:
    prompt = release_of(store, "hist_prompt")
    files = tuple(replace(file, taken_at=None) for file in store.manifest(prompt))
    years_later = datetime(2099, 1, 1, tzinfo=UTC)
    policy = RightsPolicy(frozenset({"rights-holders"}))
    releases = ReleaseService(MemoryReleases(prompt, files={prompt.id: files}), policy, now=lambda: years_later)
    with pytest.raises(NotFoundError, match="has no file"):
        releases.file(HOLDER, "hist_prompt", HUSHED)
    assert [file.path for file in releases.manifest(HOLDER, "hist_prompt", under="images")] == [COADD]
    assert releases.readable_folders(HOLDER) == ()


def test_a_long_list_of_images_under_embargo_is_read_page_by_page(store: FolderReleaseStore) -> None:
    """Nothing of it may be seen: a thread that reads it comes back all the same."""
    prompt = release_of(store, "hist_prompt")
    files = tuple(
        StoredFile(path=f"images/visits/{number:04}.fits", size_bytes=1, sha256="", taken_at=TODAY)
        for number in range(3_500)
    )
    releases = ReleaseService(
        MemoryReleases(prompt, files={prompt.id: files}), RightsPolicy(frozenset({"rights-holders"})), now=lambda: TODAY
    )
    pages = releases.manifest(HOLDER, "hist_prompt").pages()
    assert list(FileList(release=prompt, form=ListFormat.TEXT).write(pages)) == [b""] * 4


def test_a_lab_shows_the_folders_of_readable_releases_without_images_under_embargo(store: FolderReleaseStore) -> None:
    assert service(store).readable_folders(ANONYMOUS) == ()
    assert [release_id for release_id, _ in service(store).readable_folders(HOLDER)] == [
        "hist_dr1", "hist_dr2", "hist_dr3",
    ]  # fmt: skip
    folders = dict(service(store, EMBARGO_ENDS_AT).readable_folders(HOLDER))
    assert sorted(folders) == ["hist_dr1", "hist_dr2", "hist_dr3", "hist_prompt"]
    assert (folders["hist_dr1"].parent.name, folders["hist_dr2"].parent.name) == ("mass", "releases")
    assert all((folder / "release.yaml").is_file() for folder in folders.values())


def test_what_an_administrator_uses_by_override_is_logged_and_what_is_only_listed_is_not(
    store: FolderReleaseStore, caplog: pytest.LogCaptureFixture
) -> None:
    releases = service(store)
    with caplog.at_level(logging.INFO, logger="pachon.rights"):
        assert ids(releases, ADMIN, Access.FILE) == sorted(WORDS)
        releases.tables(ADMIN)
        releases.file(ADMIN, "hist_dr1", "release.yaml")
        releases.snapshot(HOLDER, CURRENT)
        assert caplog.messages == []
        releases.snapshot(ADMIN, CURRENT)
        releases.manifest(ADMIN, "hist_deep")
        releases.file(ADMIN, "hist_prompt", HUSHED)
        listed = releases.manifest(HOLDER_AND_ADMIN, "hist_prompt")
        assert HUSHED in [file.path for file in listed]
        assert len(list(listed)) > 1
        list(releases.manifest(HOLDER_AND_ADMIN, "hist_prompt", under="tables"))
    assert caplog.messages == [
        f"admin was let in by override: query access to release hist_dr3, {CURRENT}",
        "admin was let in by override: file access to release hist_deep, its list of files",
        f"admin was let in by override: image access to release hist_prompt, {HUSHED}",
        "admin was let in by override: image access to release hist_prompt, its list of files",
    ]


def test_a_path_outside_a_release_is_no_file_even_through_links(store: FolderReleaseStore, tmp_path: Path) -> None:
    folder = store.folder(release_of(store, "hist_dr2"))
    image = folder / "images" / "coadds" / f"{texts('hist_dr2')['image']}.fits"
    secret = tmp_path / "secret"
    image.rename(secret)
    try:
        image.symlink_to(secret)
        with pytest.raises(NotFoundError, match="has no file"):
            service(store).file(HOLDER, "hist_dr2", image.relative_to(folder).as_posix())
    finally:
        secret.rename(image)
