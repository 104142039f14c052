"""A release that is archived for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pachon.releases.models import Lifecycle
from pachon.releases.registry import Registry


@contextmanager
def archived(registry: Registry, release_id: str) -> Iterator[None]:
    """Archive a release, and at the end make it what it was."""
    before = registry.read().entries[release_id]
    registry.change(lambda records: records.with_entry(release_id, replace(before, lifecycle=Lifecycle.ARCHIVED)))
    try:
        yield
    finally:
        registry.change(lambda records: records.with_entry(release_id, before))
