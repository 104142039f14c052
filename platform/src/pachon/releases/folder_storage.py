"""Releases in folders, found through the registry: `release.yaml`, `schema.yaml` (Felis) and HATS catalogues."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import NotFoundError, PachonError, SetupError, UnavailableError
from pachon.releases.description import DESCRIPTION, read_description, read_tables, table_folder
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.living import VALIDITY, read_validity
from pachon.releases.manifest import Contents, Manifest, find_file
from pachon.releases.models import FileCollection, ImageCollection, Partition, Release, Snapshot, StoredFile, Table
from pachon.releases.registry import Entry, Registry, release_folders

_log = logging.getLogger(__name__)
_Stamp = tuple[int, ...]
_PAUSE = timedelta(seconds=30)
"""Before what could not be read is tried again."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A release as read, and what of the folder it was read from. The files of its tables are read when asked for."""

    stamp: tuple[Path, Entry, _Stamp]
    release: Release
    tables: Mapping[str, Table]
    partitions: dict[str, tuple[_Stamp, tuple[Partition, ...]]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.stamp[0]


class FolderReleaseStore:
    """Releases under one folder, read when first asked for and again when the registry changes.

    What cannot be read (storage that is away) is tried again every half minute; until then all else is as it was.
    Safe to use from several threads.

    Parameters
    ----------
    path
        Folder of releases; need not exist.
    mass
        Folder of archived releases, if there is one.
    """

    def __init__(self, path: Path, mass: Path | None = None, *, now: Clock = clock.now) -> None:
        self._registry = Registry(path, mass)
        self._now = now
        self._lock = threading.Lock()
        self._stamp: object = None
        self._again_at: datetime | None = None
        self._warnings: dict[str, str] = {}
        self._held: dict[str, _Held] = {}
        self._releases: tuple[Release, ...] = ()

    def releases(self) -> tuple[Release, ...]:
        """All published releases, sorted by id; one that cannot be read is logged and left out."""
        self._refresh()
        return self._releases

    def snapshot(self, table_name: str, *, as_of: datetime | None = None) -> Snapshot:
        """The files of a table, by qualified name; of a living table those valid as of a moment (UTC), None for now.

        Raises
        ------
        NotFoundError
            If there is no such table.
        UnavailableError
            If its files cannot be read.
        """
        held, table = self._table(table_name)
        try:
            partitions = _partitions(held, table)
        except SetupError as error:
            _log.warning("Table %s cannot be read: %s", table_name, error)
            raise UnavailableError(f"Table '{table_name}' cannot be read at the moment.", retry_after_s=60) from None
        if held.release.is_living:
            moment = as_of or self._now()
            partitions = tuple(part for part in partitions if part.is_valid_at(moment))
            table = replace(table, row_count=sum(part.row_count for part in partitions))
        return Snapshot(table, partitions)

    def catalogue(self, table_name: str) -> HatsCatalogue:
        """The HATS catalogue of a table, by qualified name.

        Raises
        ------
        NotFoundError
            If there is no such table.
        """
        held, table = self._table(table_name)
        return HatsCatalogue(table_folder(held.folder, table.name))

    def folder(self, release_id: str) -> Path:
        """Where the files of a release lie on this machine.

        Raises
        ------
        NotFoundError
            If there is no such release.
        """
        self._refresh()
        if release_id not in self._held:
            raise NotFoundError(f"There is no release '{release_id}'.")
        return self._held[release_id].folder.resolve()

    def manifest(self, release_id: str) -> Iterable[StoredFile]:
        """All files of a release, sorted by path, one at a time; as they were listed when this was asked.

        Raises
        ------
        NotFoundError
            If there is no such release.
        UnavailableError
            If they are not listed yet; told when they are read.
        """
        return Manifest(self.folder(release_id))

    def file(self, release_id: str, path: str) -> tuple[StoredFile, Path]:
        """One file of a release by its path in the manifest, and where it lies on this machine.

        Raises
        ------
        NotFoundError
            If there is no such release, the manifest has no such path, or a link lies there now.
        UnavailableError
            If the files are not listed yet.
        """
        folder = self.folder(release_id)
        stored = find_file(folder, path)
        place = folder / path
        if stored is None or place.resolve() != place:
            raise NotFoundError(f"Release '{release_id}' has no file '{path}'.")
        return stored, place

    def _table(self, table_name: str) -> tuple[_Held, Table]:
        self._refresh()
        held = self._held.get(table_name.partition(".")[0])
        if held is None or table_name not in held.tables:
            raise NotFoundError(f"There is no table '{table_name}'.")
        return held, held.tables[table_name]

    def _refresh(self) -> None:
        if self._is_as_read(self._registry_stamp()):
            return
        with self._lock:
            stamp = self._registry_stamp()
            if self._is_as_read(stamp):
                return
            warned, self._warnings = self._warnings, {}
            self._read_all()
            for what, message in self._warnings.items():
                if warned.get(what) != message:
                    _log.warning("%s: %s", what, message)
            self._again_at = self._now() + _PAUSE if self._warnings else None
            self._stamp = stamp

    def _is_as_read(self, stamp: object) -> bool:
        return stamp == self._stamp and (self._again_at is None or self._now() < self._again_at)

    def _read_all(self) -> None:
        try:
            entries = self._registry.read().entries
        except (OSError, SetupError) as error:
            self._warnings["Releases are served as they were"] = str(error)
            return
        served = ((release_id, entry) for release_id, entry in entries.items() if entry.is_served)
        found = {release_id: self._read(release_id, entry) for release_id, entry in served}
        self._held = {release_id: held for release_id, held in found.items() if held is not None}
        self._releases = tuple(held.release for _, held in sorted(self._held.items()))

    def _registry_stamp(self) -> object:
        """Changes whenever the registry does; until there is one, whenever a release does."""
        if (stamp := _stamp(self._registry.path)) != ():
            return stamp
        try:
            folders = tuple(release_folders(self._registry.root))
        except OSError as error:
            return str(error)
        return tuple((folder.name, _stamp(folder / DESCRIPTION)) for folder in folders)

    def _read(self, release_id: str, entry: Entry) -> _Held | None:
        folder = self._registry.locate(entry.place)
        stamp = (folder, entry, _stamp(folder / DESCRIPTION))
        known = self._held.get(release_id)
        if known is not None and known.stamp == stamp:
            return known
        try:
            return _read(stamp)
        except (OSError, PachonError) as error:
            self._warnings[f"Release {release_id} is left out"] = str(error)
            return None


def read_release(folder: Path) -> Release:
    """Read a release and its tables, with their row counts.

    Raises
    ------
    SetupError
        If `release.yaml` or a catalogue is wrong or missing.
    UsageError
        If `schema.yaml` is wrong.
    """
    release = read_description(folder / DESCRIPTION)
    tables = (
        replace(table, row_count=HatsCatalogue(table_folder(folder, table.name)).row_count)
        for table in read_tables(folder, release)
    )
    return replace(release, tables=tuple(tables))


def _read(stamp: tuple[Path, Entry, _Stamp]) -> _Held:
    folder, entry, _ = stamp
    described = read_description(folder / DESCRIPTION)
    tables = tuple(_counted(table, folder, entry.contents) for table in read_tables(folder, described))
    release = replace(
        described,
        lifecycle=entry.lifecycle,
        tier=entry.place.tier,
        history=entry.history,
        size_bytes=sum(each.size_bytes for each in entry.contents.values()),
        tables=tables,
        images=tuple(_images(each, entry.contents) for each in described.images),
        files=tuple(_files(each, entry.contents) for each in described.files),
    )
    return _Held(stamp, release, {table.qualified_name: table for table in tables})


def _counted(table: Table, folder: Path, contents: Mapping[str, Contents]) -> Table:
    """The table with its row count, which the registry knows unless it was not there when the release was published."""
    known = contents.get(f"tables/{table.name}", Contents()).row_count
    return replace(
        table, row_count=HatsCatalogue(table_folder(folder, table.name)).row_count if known is None else known
    )


def _images(collection: ImageCollection, contents: Mapping[str, Contents]) -> ImageCollection:
    found = contents.get(f"images/{collection.id}", Contents())
    return replace(collection, file_count=found.file_count, size_bytes=found.size_bytes)


def _files(collection: FileCollection, contents: Mapping[str, Contents]) -> FileCollection:
    found = contents.get(f"files/{collection.id}", Contents())
    return replace(collection, file_count=found.file_count, size_bytes=found.size_bytes)


def _partitions(held: _Held, table: Table) -> tuple[Partition, ...]:
    """The files of a table; of a living one all there ever were, read again when they change."""
    folder = table_folder(held.folder, table.name)
    stamp = _stamp(folder / VALIDITY) if held.release.is_living else ()
    known = held.partitions.get(table.name)
    if known is not None and known[0] == stamp:
        return known[1]
    listed = read_validity(folder) if held.release.is_living else None
    partitions = HatsCatalogue(folder).partitions if listed is None else listed
    held.partitions[table.name] = (stamp, partitions)
    return partitions


def _stamp(path: Path) -> _Stamp:
    """Which file this is, and in which state; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
