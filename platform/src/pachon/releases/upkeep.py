"""Finds what is damaged in the releases, and repairs what a crash left."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pachon.core.errors import ConflictError, PachonError
from pachon.releases.description import DESCRIPTION, read_description
from pachon.releases.drafts import recovered, strays
from pachon.releases.manifest import MANIFEST, Contents, Manifest, paths_in, sha256_of, write_manifest
from pachon.releases.models import StoredFile
from pachon.releases.publishing import check
from pachon.releases.registry import Entry, Records, Registry
from pachon.releases.tiers import move_archived, remove_replaced

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a release, and where."""

    release_id: str
    problem: str

    def __str__(self) -> str:
        return f"{self.release_id}: {self.problem}"


def recover(registry: Registry, *, at: datetime, keep: timedelta, report: Report) -> tuple[str, ...]:
    """Finish or undo what was interrupted; nothing is left to do when it is called again.

    Releases of a time before the registry get their manifests and become part of it; publications that were not decided
    become drafts again; moves to mass storage are made again; folders that nobody reads are removed after a time.

    Parameters
    ----------
    keep
        How long folders that are not read any more are kept for running queries.
    report
        Takes one line for each thing that was done.

    Returns
    -------
    tuple
        Archived releases that could not be moved to mass storage.
    """
    if not registry.root.is_dir():
        return ()
    if not registry.path.exists() and not registry.read().entries:
        return ()
    for pattern in (".building-*", ".old-*"):
        for leftover in registry.root.glob(pattern):
            shutil.rmtree(leftover)
    for release_id, entry in registry.establish().entries.items():
        _list_files(registry, release_id, entry, report)
    for release_id, _ in tuple(strays(registry)):
        _take_back(registry, release_id, report)
    left = move_archived(registry, at=at, report=report)
    if removed := remove_replaced(registry, at=at, keep=keep):
        report(f"{removed} folders that nobody reads any more were removed.")
    return left


def _take_back(registry: Registry, release_id: str, report: Report) -> None:
    registry.drafts.mkdir(exist_ok=True)
    with contextlib.suppress(ConflictError), registry.only_one(release_id):
        if recovered(registry, release_id).exists():
            report(f"{release_id}: its publication was interrupted; 'pachon release publish {release_id}' goes on.")


def _list_files(registry: Registry, release_id: str, entry: Entry, report: Report) -> None:
    """Make the manifest of a release that was published before there was a registry."""
    folder = registry.locate(entry.place)
    if entry.contents or not (folder / DESCRIPTION).exists():
        return
    try:
        with registry.only_one(release_id):
            release = read_description(folder / DESCRIPTION)
            contents = write_manifest(folder, release.images)
            contents |= {name: replace(contents[name], row_count=rows) for name, rows in check(folder, release).items()}
            registry.change(lambda records: _with_contents(records, release_id, contents))
    except PachonError as error:
        report(f"{release_id}: its files cannot be listed. {error}")
    else:
        report(f"{release_id}: taken into the registry.")


def _with_contents(records: Records, release_id: str, contents: Mapping[str, Contents]) -> Records:
    entry = records.entries.get(release_id)
    return records.with_entry(release_id, replace(entry, contents=contents)) if entry is not None else records


def verify(registry: Registry, *, quick: bool = False, only: frozenset[str] = frozenset()) -> Iterator[Damage]:
    """Compare releases with their manifests, file by file, and count the rows of their tables.

    Parameters
    ----------
    quick
        Compare sizes only, not digests.
    only
        Ids; empty for all.
    """
    for release_id, entry in registry.read().entries.items():
        if not only or release_id in only:
            yield from (Damage(release_id, problem) for problem in _problems(registry, entry, quick=quick))


def _problems(registry: Registry, entry: Entry, *, quick: bool) -> Iterator[str]:
    folder = registry.locate(entry.place)
    if not folder.is_dir():
        yield f"its folder {folder} is missing"
        return
    try:
        yield from problems(folder, quick=quick)
    except PachonError as error:
        yield str(error).rstrip(".")


def problems(folder: Path, *, quick: bool = False) -> Iterator[str]:
    """In what the files of a release differ from its manifest; nothing if in nothing.

    The tables of a living release change after their publication: only their own lists and rows are compared.

    Raises
    ------
    PachonError
        If its manifest cannot be read.
    """
    if not (folder / MANIFEST).exists():
        yield "it has no manifest"
        return
    try:
        release = read_description(folder / DESCRIPTION)
        check(folder, release)
    except PachonError as error:
        yield str(error).rstrip(".")
        release = None
    skipped = "tables/" if release is not None and release.is_living else "\0"
    listed = (file for file in Manifest(folder) if not file.path.startswith(skipped))
    present = (path for path in paths_in(folder) if not path.startswith(skipped))
    for file, path in _side_by_side(listed, present):
        if file is None:
            yield f"{path} does not belong to it"
        elif path is None:
            yield f"{file.path} is missing"
        elif (folder / path).stat().st_size != file.size_bytes:
            yield f"{path} has another size"
        elif not quick and sha256_of(folder / path) != file.sha256:
            yield f"{path} has changed"


def _side_by_side(
    listed: Iterator[StoredFile], present: Iterator[str]
) -> Iterator[tuple[StoredFile | None, str | None]]:
    """Two sorted streams in step: what only one has comes with None."""
    file, path = next(listed, None), next(present, None)
    while file is not None or path is not None:
        if path is None or (file is not None and file.path < path):
            yield file, None
            file = next(listed, None)
        elif file is None or path < file.path:
            yield None, path
            path = next(present, None)
        else:
            yield file, path
            file, path = next(listed, None), next(present, None)
