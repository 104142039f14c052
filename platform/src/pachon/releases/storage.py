"""The promise of a release store; `folder_storage` keeps it over a folder of HATS catalogues."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pachon.releases.models import Release, Snapshot, StoredFile


class ReleaseStore(Protocol):
    """Where published releases and the files of their tables are found. Half-built releases are never seen."""

    def releases(self) -> tuple[Release, ...]:
        """All published releases, sorted by id."""
        ...

    def snapshot(self, table_name: str, *, as_of: datetime | None = None) -> Snapshot:
        """The files of a table, by qualified name.

        Parameters
        ----------
        as_of
            For a living table, the moment (UTC) as of which it is read; None for now. An immutable table has one state.

        Raises
        ------
        NotFoundError
            If there is no such table.
        """
        ...

    def folder(self, release_id: str) -> Path:
        """Where the files of a release lie on this machine, whole.

        Raises
        ------
        NotFoundError
            If there is no such release.
        """
        ...

    def manifest(self, release_id: str) -> Iterable[StoredFile]:
        """All files of a release, sorted by path, one at a time: a release may have millions.

        The same files come whenever it is iterated, whatever is published meanwhile.

        Raises
        ------
        NotFoundError
            If there is no such release.
        """
        ...

    def file(self, release_id: str, path: str) -> tuple[StoredFile, Path]:
        """One file of a release by its path in the manifest, and where it lies on this machine.

        Raises
        ------
        NotFoundError
            If there is no such release, or the manifest has no such path.
        """
        ...
