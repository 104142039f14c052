"""Finds in a release store by name."""

from __future__ import annotations

from datetime import datetime

from pachon.releases.models import Release, Snapshot
from pachon.releases.storage import ReleaseStore


def release_of(store: ReleaseStore, release_id: str) -> Release:
    """The published release with an id."""
    return next(release for release in store.releases() if release.id == release_id)


def snapshot_of(store: ReleaseStore, name: str, *, as_of: datetime | None = None) -> Snapshot:
    """The files of a table, by qualified name."""
    release = release_of(store, name.partition(".")[0])
    table = next(table for table in release.tables if table.qualified_name == name)
    return store.snapshot(release, table, as_of=as_of)
