"""Publishes drafts: everything is checked and on disk before one change of the registry shows it to readers."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core import clock
from pachon.core.errors import ConflictError, NotFoundError, SetupError, UsageError
from pachon.core.failpoints import failpoint
from pachon.releases.description import DESCRIPTION, read_description, read_tables, table_folder
from pachon.releases.drafts import UNFINISHED, existing, recovered
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.hats.workplace import WORK
from pachon.releases.living import read_validity
from pachon.releases.manifest import Contents, paths_in, write_manifest
from pachon.releases.models import Lifecycle, Release, ReleaseKind, Tier
from pachon.releases.registry import Entry, Place, Records, Registry, State, bring_to_disk, build_of, lifecycles

_STEPS = tuple(Lifecycle)


def publish(registry: Registry, release_id: str, *, at: datetime) -> Records:
    """Publish a draft, or serve a retired release again if there is no draft of it.

    A new data release takes its place among the others by release date, and moves the older ones down: current,
    previous, archived; none moves up. One that replaces an earlier build of the same id changes nothing else.

    Returns
    -------
    Records
        The registry, on disk, as readers see it from now on.

    Raises
    ------
    NotFoundError
        If there is no such draft.
    SetupError, UsageError
        If the draft is not a complete release, with what is missing.
    ConflictError
        If another process is changing it, or it was published as another kind of release.
    """
    with registry.only_one(release_id):
        if not recovered(registry, release_id).exists() and _is_retired(registry, release_id):
            return registry.change(lambda records: _restored(records, release_id, at))
        return _publish(registry, release_id, existing(registry, release_id), at)


@contextlib.contextmanager
def publication(root: Path, release_id: str) -> Iterator[Path]:
    """Build a release out of sight and publish it whole, in place of an earlier build of the same id.

    Yields an empty folder to fill. When the block ends without error it is published; otherwise it is removed. What an
    interrupted process left behind of the same release is removed first.

    Raises
    ------
    ConflictError
        If another process is building the same release.
    SetupError, UsageError
        If what was built is no release of that id.
    """
    registry = Registry(root)
    registry.drafts.mkdir(parents=True, exist_ok=True)
    with registry.only_one(release_id):
        draft = recovered(registry, release_id)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            yield draft
            _publish(registry, release_id, draft, clock.now())
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _publish(registry: Registry, release_id: str, draft: Path, at: datetime) -> Records:
    release = read_description(draft / DESCRIPTION)
    if release.id != release_id:
        raise SetupError(f"The release built as '{release_id}' calls itself '{release.id}'.")
    row_counts = check(draft, release)
    failpoint("publish.before-manifest")
    contents = write_manifest(draft, release.images)
    _check_parts(release, contents, row_counts)
    contents |= {name: replace(contents[name], row_count=rows) for name, rows in row_counts.items()}
    _bring_all_to_disk(draft)

    def decide(records: Records) -> Records:
        new = Entry(kind=release.kind, place=place, published_at=at, contents=contents)
        return _published(records, release, new, _others(registry, records, release))

    place = _next_place(registry, release_id)
    decide(registry.establish())
    failpoint("publish.before-rename")
    draft.rename(registry.locate(place))
    bring_to_disk(registry.root)
    failpoint("publish.before-commit")
    return registry.change(decide)


def check(folder: Path, release: Release) -> dict[str, int]:
    """Check that a folder holds all that its descriptions promise.

    Returns
    -------
    dict
        Row counts by `tables/<name>`.

    Raises
    ------
    SetupError, UsageError
        What is missing or wrong.
    """
    if any((folder / UNFINISHED).glob("*")):
        raise SetupError(f"A table of '{release.id}' is not imported yet; give 'add-table' the same files to go on.")
    tables = read_tables(folder, release)
    names = {table.qualified_name for table in tables}
    for table in tables:
        for key in table.foreign_keys:
            if key.target_table not in names:
                raise UsageError(f"Foreign key '{key.id}' of {table.qualified_name} leads to no table of the release.")
    counts = {f"tables/{table.name}": _count_rows(table_folder(folder, table.name), release) for table in tables}
    if not counts and not release.images and not release.files:
        raise SetupError(f"Release '{release.id}' has neither tables nor images nor files; add some first.")
    return counts


def _count_rows(folder: Path, release: Release) -> int:
    """Rows of a table as the footers of its files say, which must be what its list says."""
    if not folder.is_dir():
        name = f"{release.id}.{folder.name}"
        raise SetupError(f"Table {name} of the schema is missing: 'pachon release add-table' adds it.")
    if (folder / WORK).exists():
        raise SetupError(f"{folder} is not complete: its import was interrupted.")
    listed = (read_validity(folder) if release.is_living else None) or HatsCatalogue(folder).partitions
    for part in listed:
        try:
            found = pq.read_metadata(part.path).num_rows
        except (OSError, pa.ArrowException):
            raise SetupError(f"{part.path} is missing or not a Parquet file.") from None
        if found != part.row_count:
            raise SetupError(f"{part.path} has {found:,} rows, not the {part.row_count:,} that are listed.")
    return sum(part.row_count for part in listed if part.valid_to is None)


def _check_parts(release: Release, contents: Mapping[str, Contents], tables: Collection[str]) -> None:
    """Nothing lies where no description speaks of it, and every collection has files."""
    promised = {f"images/{each.id}" for each in release.images} | {f"files/{each.id}" for each in release.files}
    if unknown := sorted(contents.keys() - promised - set(tables) - {""}):
        raise SetupError(f"Release '{release.id}' holds '{unknown[0]}', of which its descriptions say nothing.")
    if empty := sorted(promised - contents.keys()):
        raise SetupError(f"Collection '{empty[0]}' of '{release.id}' has no files yet.")


def _others(registry: Registry, records: Records, release: Release) -> dict[str, tuple[date, datetime]]:
    """The other data releases that a new one meets: release dates, as their folders say, and when they were published.

    Archived ones are not asked, since they stay archived and their storage may be slow.
    """
    if release.kind is not ReleaseKind.DATA_RELEASE or release.id in records.entries:
        return {}
    return {
        other_id: (read_description(registry.locate(entry.place) / DESCRIPTION).date, entry.published_at)
        for other_id, entry in records.entries.items()
        if entry.kind is ReleaseKind.DATA_RELEASE and entry.lifecycle is not Lifecycle.ARCHIVED
    }


def _published(records: Records, release: Release, new: Entry, others: Mapping[str, tuple[date, datetime]]) -> Records:
    """The decision: the new build is served, an earlier one is not read any more, older data releases step down."""
    at, old = new.published_at, records.entries.get(release.id)
    if old is not None:
        if old.kind is not new.kind:
            message = f"Release '{release.id}' is a {old.kind.value} and cannot become a {new.kind.value}"
            raise ConflictError(f"{message}; give it another id, or delete the old one first.")
        again = replace(new, lifecycle=old.lifecycle, published_at=old.published_at, history=old.history)
        return records.with_entry(release.id, again.after("built again", at)).with_replaced(old.place, at)
    new = new.after("published", at)
    if new.kind is not ReleaseKind.DATA_RELEASE:
        return records.with_entry(release.id, new)
    for each_id, lifecycle in lifecycles({**others, release.id: (release.date, at)}).items():
        entry = new if each_id == release.id else records.entries[each_id]
        if _STEPS.index(lifecycle) > _STEPS.index(entry.lifecycle):
            entry = replace(entry, lifecycle=lifecycle).after(lifecycle.value, at)
        records = records.with_entry(each_id, entry)
    return records


def _is_retired(registry: Registry, release_id: str) -> bool:
    entry = registry.read().entries.get(release_id)
    return entry is not None and not entry.is_served


def _restored(records: Records, release_id: str, at: datetime) -> Records:
    entry = records.entries[release_id]
    return records.with_entry(release_id, replace(entry, state=State.PUBLISHED).after("served again", at))


def retire(registry: Registry, release_id: str, *, at: datetime, delete: bool = False) -> None:
    """Serve a release no more, in no way. Its files are kept, and `publish` serves it again.

    Parameters
    ----------
    delete
        Forget it, and have its files removed when no running query can read them any more; a draft is removed at once.

    Raises
    ------
    NotFoundError
        If there is no such release (or, to delete, no such draft).
    """
    with registry.only_one(release_id):
        draft = recovered(registry, release_id)
        is_known = release_id in registry.read().entries
        if not is_known and not (delete and draft.exists()):
            known = ", ".join(registry.read().entries) or "none"
            raise NotFoundError(f"There is no release '{release_id}'; there are: {known}.")
        if is_known:
            decide = _deleted if delete else _retired
            registry.change(lambda records: decide(records, release_id, at))
        if delete:
            failpoint("retire.before-delete")
            shutil.rmtree(draft, ignore_errors=True)


def _retired(records: Records, release_id: str, at: datetime) -> Records:
    entry = records.entries[release_id]
    if not entry.is_served:
        return records
    return records.with_entry(release_id, replace(entry, state=State.RETIRED).after("retired", at))


def _deleted(records: Records, release_id: str, at: datetime) -> Records:
    left = {name: entry for name, entry in records.entries.items() if name != release_id}
    return replace(records, entries=left).with_replaced(records.entries[release_id].place, at)


def _next_place(registry: Registry, release_id: str) -> Place:
    """A name that no folder of this release has or had, as far as anybody may still read it."""
    names = {place.folder for place in registry.read().places}
    names |= {path.name for path in registry.root.glob(f"{release_id}*")}
    numbers = [build[1] for build in map(build_of, names) if build is not None and build[0] == release_id]
    return Place(Tier.FAST, f"{release_id}.{max(numbers) + 1}" if numbers else release_id)


def _bring_all_to_disk(folder: Path) -> None:
    folders = {folder}
    for path in paths_in(folder):
        bring_to_disk(folder / path)
        folders.update((folder / path).parents[: path.count("/")])
    for each in folders:
        bring_to_disk(each)
