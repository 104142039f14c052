"""A release store in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pachon.core.errors import NotFoundError
from pachon.releases.models import Partition, Release, Snapshot, StoredFile


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

    def snapshot(self, table_name: str, *, as_of: datetime | None = None) -> Snapshot:
        tables = {table.qualified_name: table for release in self._releases.values() for table in release.tables}
        if table_name not in tables:
            raise NotFoundError(f"There is no table '{table_name}'.")
        table, partitions = tables[table_name], self._partitions.get(table_name, ())
        if self._releases[table.schema].is_living:
            moment = as_of or datetime.now(tz=UTC)
            partitions = tuple(part for part in partitions if part.is_valid_at(moment))
            table = replace(table, row_count=sum(part.row_count for part in partitions))
        return Snapshot(table, partitions)

    def folder(self, release_id: str) -> Path:
        if release_id not in self._releases:
            raise NotFoundError(f"There is no release '{release_id}'.")
        return Path("/nowhere") / release_id

    def manifest(self, release_id: str) -> tuple[StoredFile, ...]:
        self.folder(release_id)
        return tuple(sorted(self._files.get(release_id, ()), key=lambda file: file.path))

    def file(self, release_id: str, path: str) -> tuple[StoredFile, Path]:
        folder = self.folder(release_id)
        for file in self._files.get(release_id, ()):
            if file.path == path:
                return file, folder / path
        raise NotFoundError(f"Release '{release_id}' has no file '{path}'.")
