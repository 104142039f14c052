"""Releases in the making: folders in `.drafts` that no reader sees, filled step by step until they are published."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pachon.core.errors import ConflictError, NotFoundError, SetupError, UsageError
from pachon.core.failpoints import failpoint
from pachon.releases.description import (
    DESCRIPTION,
    SCHEMA,
    document_of,
    read_description,
    read_tables,
    table_folder,
    write_description,
)
from pachon.releases.felis import read_schema
from pachon.releases.hats.workplace import WORK, replacing
from pachon.releases.importing import ImportReport, import_table
from pachon.releases.manifest import MANIFEST, paths_in
from pachon.releases.models import FileCollection, ImageCollection, Release
from pachon.releases.registry import Registry, build_of

UNFINISHED = ".unfinished"
"""Folder of a draft with tables that are being imported."""
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def create(registry: Registry, release: Release, *, schema: Path | None = None, anew: bool = False) -> Path:
    """Begin a release.

    Parameters
    ----------
    schema
        Felis file of its tables, if it has any; may also come with the first table.
    anew
        Throw an unfinished draft away, and allow a release that is published already to be made again.

    Raises
    ------
    ConflictError
        If there is a draft or a release of that id.
    UsageError, SetupError
        If the schema is wrong.
    """
    with _beginning(registry, release.id, anew=anew) as unfinished:
        write_description(release, unfinished / DESCRIPTION)
        if schema is not None:
            _take_schema(unfinished, release, schema)
    return registry.drafts / release.id


def copy_release(registry: Registry, release_id: str, source: Path, *, link: bool = False, anew: bool = False) -> Path:
    """Begin a release with all that another folder of it holds: a mirror, or what another platform published.

    Parameters
    ----------
    link
        Hard links instead of copies, for originals that nobody will change.
    anew
        As for `create`.

    Raises
    ------
    ConflictError
        As `create`.
    SetupError
        If the folder is not that release, or holds what a release does not.
    """
    release = read_description(source / DESCRIPTION)
    if release.id != release_id:
        raise SetupError(f"{source} is release '{release.id}', not '{release_id}'.")
    with _beginning(registry, release_id, anew=anew) as unfinished:
        for path in paths_in(source):
            (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
            _take_file(source / path, unfinished / path, link=link)
    return registry.drafts / release_id


@contextlib.contextmanager
def _beginning(registry: Registry, release_id: str, *, anew: bool) -> Iterator[Path]:
    """An empty folder that becomes the draft at once when the block ends: until it has its name it is nothing."""
    registry.drafts.mkdir(parents=True, exist_ok=True)
    with registry.only_one(release_id):
        draft = recovered(registry, release_id)
        if draft.exists() and not anew:
            raise ConflictError(f"There is a draft of '{release_id}' already; --anew throws it away.")
        if release_id in registry.read().entries and not anew:
            message = f"Release '{release_id}' exists, and releases do not change; --anew makes it again as a whole."
            raise ConflictError(message)
        unfinished = _emptied(draft.with_name(f"{draft.name}{UNFINISHED}"))
        unfinished.mkdir()
        failpoint("create.before-description")
        yield unfinished
        failpoint("create.before-rename")
        _emptied(draft)
        unfinished.rename(draft)


def add_table(
    registry: Registry,
    release_id: str,
    table_name: str,
    files: Sequence[Path],
    *,
    schema: Path | None = None,
    report: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import files into a table of a draft. Killed and called again with the same files, it goes on.

    Parameters
    ----------
    table_name
        As in the schema, without the release's name.
    schema
        Felis file of all tables of the release, unless the draft has it already.
    report
        Takes the number of rows read so far.

    Raises
    ------
    NotFoundError
        If there is no such draft, or no such table in its schema.
    ConflictError
        If the draft has the table, or another schema, already.
    UsageError
        If the files cannot be imported (`ImportFindingsError` lists why).
    """
    with registry.only_one(release_id):
        draft = existing(registry, release_id)
        release = read_description(draft / DESCRIPTION)
        if schema is not None:
            _take_schema(draft, release, schema)
        tables = {table.name: table for table in read_tables(draft, release)}
        if table_name not in tables:
            known = ", ".join(tables) or "none; --schema brings them"
            raise NotFoundError(f"The schema of '{release_id}' has no table '{table_name}'; it has: {known}.")
        folder = table_folder(draft, table_name)
        if folder.exists():
            raise ConflictError(f"Draft '{release_id}' has table '{table_name}' already; 'create --anew' starts again.")
        unfinished = draft / UNFINISHED / table_name
        if unfinished.exists() and not (unfinished / WORK).exists():
            shutil.rmtree(unfinished)
        done = import_table(files, tables[table_name], unfinished, report=report)
        failpoint("add.before-table")
        folder.parent.mkdir(exist_ok=True)
        unfinished.rename(folder)
        return done


def add_images(
    registry: Registry,
    release_id: str,
    collection: ImageCollection,
    files: Sequence[Path],
    *,
    link: bool = False,
    shorten_embargo: bool = False,
) -> int:
    """Put FITS images, or folders of them, into a collection of a draft; it is made if the draft has none of that id.

    Parameters
    ----------
    link
        Hard links instead of copies, for originals that nobody will change.
    shorten_embargo
        Allow an embargo that is shorter than the collection has: it holds for the images that are there already, too.

    Returns
    -------
    int
        How many files were added.

    Raises
    ------
    NotFoundError
        If there is no such draft.
    ConflictError
        If the collection has another file of a name, or a longer embargo.
    UsageError
        If the collection cannot be described so, there is no such file, or two have one name.
    """
    with registry.only_one(release_id):
        draft = existing(registry, release_id)
        release = read_description(draft / DESCRIPTION)
        known = next((each.embargo_hours for each in release.images if each.id == collection.id), 0.0)
        if collection.embargo_hours < known and not shorten_embargo:
            message = f"Images in '{collection.id}' are under embargo for {known:g} hours"
            raise ConflictError(f"{message}; --shorten-embargo allows fewer, for all of them.")
        images = (*(each for each in release.images if each.id != collection.id), collection)
        described = replace(release, images=images)
        document_of(described)
        count = _take_files(files, draft / "images" / collection.id, link=link)
        write_description(described, draft / DESCRIPTION)
        return count


def add_files(
    registry: Registry, release_id: str, collection: FileCollection, files: Sequence[Path], *, link: bool = False
) -> int:
    """Put files that are for download only, or folders of them, into a collection of a draft, as `add_images` does."""
    with registry.only_one(release_id):
        draft = existing(registry, release_id)
        release = read_description(draft / DESCRIPTION)
        kept = (*(each for each in release.files if each.id != collection.id), collection)
        described = replace(release, files=kept)
        document_of(described)
        count = _take_files(files, draft / "files" / collection.id, link=link)
        write_description(described, draft / DESCRIPTION)
        return count


def draft_description(registry: Registry, release_id: str) -> Release:
    """What a draft says of itself so far, without its tables.

    Raises
    ------
    NotFoundError, ConflictError
        If there is none, or another process is changing it.
    """
    with registry.only_one(release_id):
        return read_description(existing(registry, release_id) / DESCRIPTION)


def writable_links(registry: Registry, release_id: str) -> Iterator[Path]:
    """Files of a draft that are hard links to originals which can still be changed, and the draft with them."""
    draft = registry.drafts / release_id
    for path in draft.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and status.st_mode & _WRITABLE:
            yield path.relative_to(draft)


def existing(registry: Registry, release_id: str) -> Path:
    """The folder of a draft; the caller holds the lock of the release.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    draft = recovered(registry, release_id)
    if not (draft / DESCRIPTION).exists():
        known = ", ".join(draft_ids(registry)) or "none"
        raise NotFoundError(f"There is no draft '{release_id}'; there are: {known}. 'pachon release create' makes one.")
    return draft


def draft_ids(registry: Registry) -> tuple[str, ...]:
    """The releases in the making."""
    if not registry.drafts.is_dir():
        return ()
    names = (path.parent.name for path in registry.drafts.glob(f"*/{DESCRIPTION}"))
    return tuple(sorted(name for name in names if not name.endswith(UNFINISHED)))


def recovered(registry: Registry, release_id: str) -> Path:
    """Where the draft of a release is or would be.

    A publication that was killed just before its decision left the draft beside the published releases, complete but
    unknown to the registry: it is taken back. The caller holds the lock of the release.
    """
    draft = registry.drafts / release_id
    if not draft.exists():
        for stray_id, folder in strays(registry):
            if stray_id == release_id:
                folder.rename(draft)
                break
    return draft


def strays(registry: Registry) -> Iterator[tuple[str, Path]]:
    """Complete builds in the folder of releases that the registry does not know, each with the id of its release."""
    known = {place.folder for place in registry.read().places}
    if registry.root.is_dir():
        for path in sorted(registry.root.glob(f"*/{MANIFEST}")):
            build = build_of(path.parent.name)
            if build is not None and path.parent.name not in known:
                yield build[0], path.parent


def _take_schema(draft: Path, release: Release, schema: Path) -> None:
    tables = read_schema(schema)
    if tables[0].schema != release.id:
        raise UsageError(f"The schema for release '{release.id}' must have its name, not '{tables[0].schema}'.")
    content = schema.read_bytes()
    kept = draft / SCHEMA
    if kept.exists() and kept.read_bytes() != content and (draft / "tables").exists():
        raise ConflictError(f"Draft '{release.id}' has tables of another schema already; 'create --anew' starts again.")
    with replacing(kept) as unfinished:
        unfinished.write_bytes(content)


def _take_files(files: Sequence[Path], folder: Path, *, link: bool) -> int:
    """Copy or link files, keeping the names below the folders that were given; those that are there stay."""
    taken: set[Path] = set()
    for source, name in _all_files(files):
        target = folder / name
        if target in taken:
            raise UsageError(f"Two of the files are called '{name}'; a collection has one of each name.")
        taken.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            _take_file(source, target, link=link)
            failpoint("add.after-file")
        elif _state(source) != _state(target):
            raise ConflictError(f"The collection has another '{name}' already; 'create --anew' starts again.")
    return len(taken)


def _take_file(source: Path, target: Path, *, link: bool) -> None:
    if link:
        os.link(source.resolve(), target)
        return
    with replacing(target) as unfinished:
        shutil.copy2(source, unfinished)


def _state(path: Path) -> tuple[int, int]:
    """What tells a file from another of the same name; copies keep it."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _all_files(files: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Every file with its name in the collection."""
    for given in files:
        if given.is_dir():
            found = sorted(path for path in given.rglob("*") if path.is_file() and not path.name.startswith("."))
            if not found:
                raise UsageError(f"{given} holds no files.")
            yield from ((path, path.relative_to(given)) for path in found)
        elif given.is_file():
            yield given, Path(given.name)
        else:
            raise UsageError(f"There is no file {given}.")


def _emptied(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    return folder
