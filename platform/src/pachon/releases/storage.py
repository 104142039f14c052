"""The promise of a release store; `folder_storage` keeps it over a folder of HATS catalogues."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pachon.core.errors import NotFoundError
from pachon.releases.models import Release, Snapshot, StoredFile, Table


class ReleaseStore(Protocol):
    """Where published releases and the files of their tables are found. Half-built releases are never seen.

    What is read of a release is read from the build that is asked for, also when another was published meanwhile: so
    bytes are always those on which rights were decided.
    """

    def releases(self) -> tuple[Release, ...]:
        """All published releases, sorted by id."""
        ...

    def snapshot(self, release: Release, table: Table, *, as_of: datetime | None = None) -> Snapshot:
        """The files of a table of a release.

        Parameters
        ----------
        as_of
            For a living table, the moment (UTC) as of which it is read; None for now. An immutable table has one state.

        Raises
        ------
        UnavailableError
            If they cannot be read.
        """
        ...

    def folder(self, release: Release) -> Path:
        """Where the files of a release lie on this machine, whole.

        Raises
        ------
        UnavailableError
            If this build is not there (any more).
        """
        ...

    def manifest(self, release: Release, *, under: str = "") -> Iterable[StoredFile]:
        """The files of a release, sorted by path, one at a time: a release may have millions.

        Parameters
        ----------
        under
            Only what is in this folder, or this one file; empty for all.

        The same files come whenever it is iterated, whatever is published meanwhile.

        Raises
        ------
        UnavailableError
            As `folder`; or, when it is iterated, if the files are not listed yet.
        """
        ...

    def file(self, release: Release, path: str) -> tuple[StoredFile, Path]:
        """One file of a release by its path in the manifest, and where it lies on this machine.

        Raises
        ------
        NotFoundError
            If the manifest has no such path.
        UnavailableError
            As `folder`; or if the files are not listed yet.
        """
        ...


def no_file(release_id: str, path: str) -> NotFoundError:
    """What is said of a file that is not there, and of one that may not be seen."""
    return NotFoundError(f"Release '{release_id}' has no file '{path}'.")
