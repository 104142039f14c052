"""A release store in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pachon.core.errors import UnavailableError
from pachon.releases.models import Partition, Release, Snapshot, StoredFile, Table
from pachon.releases.storage import no_file


class MemoryReleases:
    """Keeps the promises of a release store, but for the bytes of the files.

    Parameters
    ----------
    partitions
        All files that a table has and had, by qualified name.
    files
        The manifests, by release id.
    """

    def __init__(
        self,
        *releases: Release,
        partitions: Mapping[str, tuple[Partition, ...]] | None = None,
        files: Mapping[str, tuple[StoredFile, ...]] | None = None,
    ) -> None:
        self._releases = {release.id: release for release in sorted(releases, key=lambda each: each.id)}
        self._partitions = partitions or {}
        self._files = files or {}

    def releases(self) -> tuple[Release, ...]:
        return tuple(self._releases.values())

    def snapshot(self, release: Release, table: Table, *, as_of: datetime | None = None) -> Snapshot:
        self.folder(release)
        partitions = self._partitions.get(table.qualified_name, ())
        if release.is_living:
            moment = as_of or datetime.now(tz=UTC)
            partitions = tuple(part for part in partitions if part.is_valid_at(moment))
            table = replace(table, row_count=sum(part.row_count for part in partitions))
        return Snapshot(table, partitions)

    def folder(self, release: Release) -> Path:
        known = self._releases.get(release.id)
        if known is None or known.build != release.build:
            raise UnavailableError(f"Release '{release.id}' cannot be read at the moment.")
        return Path("/nowhere") / release.id

    def manifest(self, release: Release, *, under: str = "") -> tuple[StoredFile, ...]:
        self.folder(release)
        files = sorted(self._files.get(release.id, ()), key=lambda file: file.path)
        return tuple(file for file in files if not under or f"{file.path}/".startswith(f"{under.strip('/')}/"))

    def file(self, release: Release, path: str) -> tuple[StoredFile, Path]:
        folder = self.folder(release)
        for file in self._files.get(release.id, ()):
            if file.path == path:
                return file, folder / path
        raise no_file(release.id, path)
