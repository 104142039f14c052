"""What the registry and the drafts say of every release, for administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pachon.core.errors import PachonError
from pachon.releases.description import DESCRIPTION, read_description
from pachon.releases.drafts import draft_ids
from pachon.releases.manifest import Contents
from pachon.releases.models import LifecycleEvent, Release
from pachon.releases.registry import Entry, Registry

_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A release or a draft.

    Parameters
    ----------
    state
        `draft`, `retired`, or the lifecycle of a published one.
    problem
        Why its description cannot be read; then only what the registry says is known.
    """

    id: str
    state: str
    tier: str
    folder: Path
    release: Release | None
    contents: Mapping[str, Contents] = field(default_factory=dict)
    history: tuple[LifecycleEvent, ...] = ()
    problem: str = ""

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(each.row_count or 0 for each in self.contents.values())

    @property
    def file_count(self) -> int:
        """Files of all parts."""
        return sum(each.file_count for each in self.contents.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(each.size_bytes for each in self.contents.values())

    @property
    def date(self) -> date | None:
        """Release date."""
        return self.release.date if self.release is not None else None

    def line(self) -> str:
        """For a list."""
        if self.release is None:
            return f"{self.id:<20} {self.state:<9} {self.problem}"
        size = f"{self.row_count:>14,} rows {self.size_bytes / _MEGABYTE:>12,.1f} MB" if self.contents else ""
        return f"{self.id:<20} {self.state:<9} {self.tier:<4} {self.date}  {self.release.kind.value:<17}{size}".rstrip()

    def lines(self) -> Iterator[str]:
        """In full."""
        yield self.line()
        yield f"  in {self.folder}"
        if self.release is not None:
            release = self.release
            groups = f", group {' or '.join(sorted(release.groups))}" if release.groups else ""
            yield f"  {release.title}. {'SIMULATED. ' if release.simulated else ''}{release.licence}."
            yield f"  {release.source}"
            yield f"  on its date for: {release.audience.value}{groups}"
            yield from (f"  made with: {statement}" for statement in release.provenance)
        for name, found in sorted(self.contents.items()):
            rows = f", {found.row_count:,} rows" if found.row_count is not None else ""
            yield f"  {name or 'descriptions'}: {found.file_count:,} files, {found.size_bytes:,} bytes{rows}"
        yield from (f"  {event.at:%Y-%m-%d %H:%M} UTC  {event.event}" for event in self.history)

    def document(self) -> dict[str, Any]:
        """For programs."""
        release = self.release
        return {
            "id": self.id,
            "state": self.state,
            "tier": self.tier,
            "folder": str(self.folder),
            "title": release.title if release else None,
            "kind": release.kind.value if release else None,
            "date": release.date.isoformat() if release else None,
            "audience": release.audience.value if release else None,
            "groups": sorted(release.groups) if release else None,
            "row_count": self.row_count,
            "file_count": self.file_count,
            "size_bytes": self.size_bytes,
            "contents": {
                name: {"file_count": each.file_count, "size_bytes": each.size_bytes, "row_count": each.row_count}
                for name, each in self.contents.items()
            },
            "history": [{"at": event.at.isoformat(), "event": event.event} for event in self.history],
            "problem": self.problem or None,
        }


def summaries(registry: Registry) -> tuple[Summary, ...]:
    """All releases that the registry knows, then all drafts, each sorted by id."""
    known = [_published(registry, *each) for each in registry.read().entries.items()]
    return (*known, *(_draft(registry, release_id) for release_id in draft_ids(registry)))


def _published(registry: Registry, release_id: str, entry: Entry) -> Summary:
    folder = registry.locate(entry.place)
    release, problem = _described(folder)
    return Summary(
        id=release_id,
        state=entry.lifecycle.value if entry.is_served else entry.state.value,
        tier=entry.place.tier.value,
        folder=folder,
        release=release,
        contents=entry.contents,
        history=entry.history,
        problem=problem,
    )


def _draft(registry: Registry, release_id: str) -> Summary:
    folder = registry.drafts / release_id
    release, problem = _described(folder)
    return Summary(id=release_id, state="draft", tier="fast", folder=folder, release=release, problem=problem)


def _described(folder: Path) -> tuple[Release | None, str]:
    try:
        return read_description(folder / DESCRIPTION), ""
    except PachonError as error:
        return None, str(error)
