"""The promise of a release store; `folder_storage` keeps it over a folder of HATS catalogues."""

from __future__ import annotations

from typing import Protocol

from pachon.releases.models import Release, Snapshot


class ReleaseStore(Protocol):
    """Where published releases and the files of their tables are found. Half-built releases are never seen."""

    def releases(self) -> tuple[Release, ...]:
        """All published releases, sorted by id."""
        ...

    def snapshot(self, table_name: str) -> Snapshot:
        """The files of a table, by qualified name.

        Raises
        ------
        NotFoundError
            If there is no such table.
        """
        ...
