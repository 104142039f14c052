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
from pachon.core.errors import PachonError, SetupError, UnavailableError
from pachon.releases.description import DESCRIPTION, read_description, read_tables, table_folder
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.living import VALIDITY, read_validity
from pachon.releases.manifest import Contents, Manifest, find_file
from pachon.releases.models import FileCollection, ImageCollection, Partition, Release, Snapshot, StoredFile, Table
from pachon.releases.registry import Entry, Place, Registry, release_folders
from pachon.releases.storage import no_file

_log = logging.getLogger(__name__)
_Stamp = tuple[int, ...]
_PAUSE = timedelta(seconds=30)
"""Before what could not be read is tried again."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a table; of a living one all there ever were, as of the state of the list of their validity."""

    stamp: _Stamp
    partitions: tuple[Partition, ...]
    has_validity: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """A release as read, and what of the folder it was read from. The files of its tables are read when asked for."""

    stamp: tuple[Path, Entry, _Stamp]
    release: Release
    files: dict[Path, _Files] = field(default_factory=dict)


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

    def snapshot(self, release: Release, table: Table, *, as_of: datetime | None = None) -> Snapshot:
        """The files of a table of a release; of a living table those valid as of a moment (UTC), None for now.

        Raises
        ------
        UnavailableError
            If its files cannot be read.
        """
        name, folder = table.qualified_name, table_folder(self.folder(release), table.name)
        try:
            files = self._files(release, folder)
        except SetupError as error:
            _log.warning("Table %s cannot be read: %s", name, error)
            raise UnavailableError(f"Table '{name}' cannot be read at the moment.", retry_after_s=60) from None
        if not release.is_living:
            return Snapshot(table, files.partitions, folder)
        moment = as_of or self._now()
        partitions = tuple(part for part in files.partitions if part.is_valid_at(moment))
        table = replace(table, row_count=sum(part.row_count for part in partitions))
        return Snapshot(table, partitions, None if files.has_validity else folder)

    def folder(self, release: Release) -> Path:
        """Where the files of this build of a release lie on this machine.

        Raises
        ------
        UnavailableError
            If it is not there (any more).
        """
        folder = self._registry.locate(Place(release.tier, release.build)).resolve()
        if not release.build or not folder.is_dir():
            raise UnavailableError(f"Release '{release.id}' cannot be read at the moment.", retry_after_s=60)
        return folder

    def manifest(self, release: Release, *, under: str = "") -> Iterable[StoredFile]:
        """The files of a release, or of a folder in it, sorted by path, one at a time.

        Raises
        ------
        UnavailableError
            If this build is not there (any more); or, when it is iterated, if its files are not listed yet.
        """
        return Manifest(self.folder(release), under)

    def file(self, release: Release, path: str) -> tuple[StoredFile, Path]:
        """One file of a release by its path in the manifest, and where it lies on this machine.

        Raises
        ------
        NotFoundError
            If the manifest has no such path, or a link lies there now.
        UnavailableError
            If this build is not there (any more), or its files are not listed yet.
        """
        folder = self.folder(release)
        stored = find_file(folder, path)
        place = folder / path
        if stored is None or place.resolve() != place:
            raise no_file(release.id, path)
        return stored, place

    def _files(self, release: Release, folder: Path) -> _Files:
        """The files of a table; of a living one all there ever were, read again when they change."""
        held = self._held.get(release.id)
        kept = held.files if held is not None and held.release is release else {}
        stamp = _stamp(folder / VALIDITY) if release.is_living else ()
        known = kept.get(folder)
        if known is None or known.stamp != stamp:
            listed = read_validity(folder) if release.is_living else None
            partitions = HatsCatalogue(folder).partitions if listed is None else listed
            known = kept[folder] = _Files(stamp, partitions, listed is not None)
        return known

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
        build=entry.place.folder,
        history=entry.history,
        size_bytes=sum(each.size_bytes for each in entry.contents.values()),
        tables=tables,
        images=tuple(_images(each, entry.contents) for each in described.images),
        files=tuple(_files(each, entry.contents) for each in described.files),
    )
    return _Held(stamp, release)


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


def _stamp(path: Path) -> _Stamp:
    """Which file this is, and in which state; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
