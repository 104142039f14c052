"""Releases in a folder: one folder each, with `release.yaml`, `schema.yaml` (Felis) and HATS catalogues in `tables`."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pachon.core.errors import ConflictError, NotFoundError, PachonError, SetupError
from pachon.releases.felis import read_schema
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.models import Release, ReleaseKind, Snapshot, Table
from pachon.rights.models import Audience

_LOGGER = logging.getLogger(__name__)
_BUILDING = ".building-"
_OLD = ".old-"


class _ReleaseFile(BaseModel):
    """`release.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    description: str
    kind: ReleaseKind
    date: dt.date
    audience: Audience
    simulated: bool
    source: str
    licence: str
    credit: str = ""
    doi: str | None = None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Published:
    """A release as read, and what of the folder it was read from."""

    stamp: tuple[int, int]
    release: Release
    snapshots: dict[str, Snapshot]


class FolderReleaseStore:
    """Releases under one folder, read when first asked for and again when replaced.

    Parameters
    ----------
    path
        Folder of releases; need not exist. Names that begin with a dot are not releases.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._published: dict[str, _Published] = {}

    def releases(self) -> tuple[Release, ...]:
        """All published releases, sorted by id; one that cannot be read is logged and left out."""
        self._refresh()
        return tuple(published.release for _, published in sorted(self._published.items()))

    def snapshot(self, table_name: str) -> Snapshot:
        """The files of a table, by qualified name.

        Raises
        ------
        NotFoundError
            If there is no such table.
        """
        self._refresh()
        published = self._published.get(table_name.partition(".")[0])
        if published is None or table_name not in published.snapshots:
            raise NotFoundError(f"There is no table '{table_name}'.")
        return published.snapshots[table_name]

    def folder(self, release_id: str) -> Path:
        """Where the files of a release lie on this machine.

        Raises
        ------
        NotFoundError
            If there is no such release.
        """
        self._refresh()
        if release_id not in self._published:
            raise NotFoundError(f"There is no release '{release_id}'.")
        return (self._path / release_id).resolve()

    def catalogue(self, table_name: str) -> HatsCatalogue:
        """The HATS catalogue of a table, by qualified name.

        Raises
        ------
        NotFoundError
            If there is no such table.
        """
        table = self.snapshot(table_name).table
        return HatsCatalogue(table_folder(self._path / table.schema, table.name))

    def _refresh(self) -> None:
        present: dict[str, _Published] = {}
        for folder in self._folders():
            published = self._read(folder)
            if published is not None:
                present[folder.name] = published
        self._published = present

    def _folders(self) -> Iterator[Path]:
        if self._path.is_dir():
            yield from (path for path in self._path.iterdir() if not path.name.startswith(".") and path.is_dir())

    def _read(self, folder: Path) -> _Published | None:
        try:
            status = (folder / "release.yaml").stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            known = self._published.get(folder.name)
            return known if known is not None and known.stamp == stamp else _published(folder, stamp)
        except (OSError, PachonError) as error:
            _LOGGER.warning("Release %s is left out: %s", folder.name, error)
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
    return _published(folder, (0, 0)).release


def read_description(path: Path) -> Release:
    """Read a `release.yaml`: a release without its tables.

    Raises
    ------
    SetupError
        If the file is missing or wrong, with the key that is.
    """
    try:
        described = _ReleaseFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SetupError(f"{path} is missing.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SetupError(f"{path} is not YAML.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"{path}: {place or 'the document'}: {first['msg']}.") from None
    return Release(**dict(described))


def table_folder(release: Path, table: str) -> Path:
    """Where a release keeps the HATS catalogue of a table."""
    return release / "tables" / table


@contextlib.contextmanager
def publication(root: Path, release_id: str) -> Iterator[Path]:
    """Build a release out of sight and publish it whole.

    Yields a hidden folder to fill. When the block ends without error, everything in it is checked as a release,
    brought to disk, and takes the place of `<root>/<release_id>` by a rename; otherwise it is removed.
    What an interrupted process left behind of the same release is removed first.

    Raises
    ------
    ConflictError
        If another process is building the same release.
    SetupError, UsageError
        If what was built is no release of that id.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _only_builder(root, release_id):
        _remove_leftovers(root, release_id)
        building = root / f"{_BUILDING}{release_id}-{secrets.token_hex(4)}"
        building.mkdir()
        try:
            yield building
            release = read_release(building)
            if release.id != release_id:
                raise SetupError(f"The release built as '{release_id}' calls itself '{release.id}'.")
            _bring_to_disk(building)
            _replace(building, root / release_id)
        finally:
            shutil.rmtree(building, ignore_errors=True)


@contextlib.contextmanager
def _only_builder(root: Path, release_id: str) -> Iterator[None]:
    """Hold the lock of a release; the system frees it when this process ends, however it does."""
    with (root / f".publishing-{release_id}").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Release '{release_id}' is being built by another process; wait until that one is done."
            raise ConflictError(message) from None
        yield


def _published(folder: Path, stamp: tuple[int, int]) -> _Published:
    release = read_description(folder / "release.yaml")
    snapshots: dict[str, Snapshot] = {}
    for table in read_schema(folder / "schema.yaml"):
        if table.schema != release.id:
            raise SetupError(f"The schema of release '{release.id}' must have its name, not '{table.schema}'.")
        snapshot = _snapshot(folder, table)
        snapshots[table.qualified_name] = snapshot
    tables = tuple(snapshot.table for snapshot in snapshots.values())
    return _Published(stamp, replace(release, tables=tables), snapshots)


def _snapshot(folder: Path, table: Table) -> Snapshot:
    catalogue = HatsCatalogue(table_folder(folder, table.name))
    return Snapshot(replace(table, row_count=catalogue.row_count), catalogue.partitions)


def _remove_leftovers(root: Path, release_id: str) -> None:
    for prefix in (_BUILDING, _OLD):
        for leftover in root.glob(f"{prefix}{release_id}-????????"):
            shutil.rmtree(leftover, ignore_errors=True)


def _bring_to_disk(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replace(building: Path, published: Path) -> None:
    """Two renames: for an instant there is no such release, but never half of one."""
    if published.exists():
        old = published.with_name(building.name.replace(_BUILDING, _OLD))
        published.rename(old)
        building.rename(published)
        shutil.rmtree(old, ignore_errors=True)
    else:
        building.rename(published)
    descriptor = os.open(published.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
