"""The registry: which releases are served, from which folder, and what was decided about each.

It is one file, `registry.json` in the folder of releases. Every decision is one replacement of this file under a lock
and so is seen whole or not at all: by readers at any time, and by everybody after a crash. What a release consists of
stays in a folder of its own, which says all about itself and does not change (ADR 11).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import chain, repeat
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pachon.core.errors import ConflictError, PachonError, SetupError, UsageError
from pachon.core.failpoints import failpoint
from pachon.releases.description import DESCRIPTION, read_description
from pachon.releases.hats.workplace import replacing
from pachon.releases.manifest import Contents
from pachon.releases.models import RELEASE_ID, Lifecycle, LifecycleEvent, Release, ReleaseKind, Tier

REGISTRY = "registry.json"
DRAFTS = ".drafts"
_LOCKS = ".locks"
_BUILD = re.compile(rf"({RELEASE_ID.pattern})(?:\.([1-9][0-9]{{0,3}}))?")
_log = logging.getLogger(__name__)


class State(StrEnum):
    """Whether a release is served."""

    PUBLISHED = "published"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a release: its name in the folder of a tier."""

    tier: Tier
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What was decided about a release.

    Parameters
    ----------
    published_at
        When it was first published (UTC).
    contents
        How much there is of each part, as its manifest was written; empty for a release older than the registry.
    """

    kind: ReleaseKind
    place: Place
    published_at: datetime
    state: State = State.PUBLISHED
    lifecycle: Lifecycle = Lifecycle.CURRENT
    history: tuple[LifecycleEvent, ...] = ()
    contents: Mapping[str, Contents] = field(default_factory=dict)

    @property
    def is_served(self) -> bool:
        """Whether readers find it."""
        return self.state is State.PUBLISHED

    def after(self, event: str, at: datetime) -> Entry:
        """With one more event in its history."""
        return replace(self, history=(*self.history, LifecycleEvent(at, event)))


@dataclass(frozen=True, slots=True)
class Replaced:
    """A folder that no release is read from any more, but running queries may be."""

    place: Place
    since: datetime


@dataclass(frozen=True, slots=True)
class Records:
    """The whole registry at one moment: releases by id, and folders that wait to be removed."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    replaced: tuple[Replaced, ...] = ()

    def with_entry(self, release_id: str, entry: Entry) -> Records:
        """With an entry added or replaced."""
        return replace(self, entries=dict(sorted({**self.entries, release_id: entry}.items())))

    def with_replaced(self, place: Place, since: datetime) -> Records:
        """With one more folder to remove."""
        return replace(self, replaced=(*self.replaced, Replaced(place, since)))

    @property
    def places(self) -> frozenset[Place]:
        """All folders it knows."""
        return frozenset(
            [*(entry.place for entry in self.entries.values()), *(replaced.place for replaced in self.replaced)]
        )


_FORM = TypeAdapter(Records)


class Registry:
    """Reads and changes the registry of a folder of releases.

    Parameters
    ----------
    root
        Folder of releases, on fast storage; need not exist.
    mass
        Folder for archived releases; None if they stay where they are.
    """

    def __init__(self, root: Path, mass: Path | None = None) -> None:
        self.root = root
        self.mass = mass

    @property
    def path(self) -> Path:
        """The file."""
        return self.root / REGISTRY

    @property
    def drafts(self) -> Path:
        """Where releases are made before they are published."""
        return self.root / DRAFTS

    def locate(self, place: Place) -> Path:
        """Where a folder lies on this machine."""
        if place.tier is Tier.MASS and self.mass is not None:
            return self.mass / place.folder
        return self.root / place.folder

    def read(self) -> Records:
        """The registry as it is; made from the folders that are there if it has not been written yet.

        Raises
        ------
        SetupError
            If the file is damaged.
        """
        try:
            return _FORM.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return self._found()
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the document"
            raise SetupError(f"{self.path} is damaged: {place}: {first['msg']}.") from None

    def establish(self) -> Records:
        """Write the registry if there is none: from then on no folder is a release just because it is there."""
        return self.change(lambda records: records)

    def change(self, decide: Callable[[Records], Records]) -> Records:
        """Make a decision: read, decide and replace, while nobody else does.

        Returns
        -------
        Records
            As they are now; on disk when this returns.
        """
        with self._locked("registry", wait=True):
            before = self.read()
            after = decide(before)
            if after != before or not self.path.exists():
                self._write(after)
            return after

    def _write(self, records: Records) -> None:
        with replacing(self.path) as unfinished:
            unfinished.write_bytes(_FORM.dump_json(records, indent=1))
            failpoint("registry.before-replace")
        bring_to_disk(self.root)
        failpoint("registry.after-replace")

    def only_one(self, release_id: str) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of a release; the system frees it when this process ends, however it does.

        Raises
        ------
        UsageError
            If no release can have that id: every command comes here before it touches a folder of that name.
        ConflictError
            If another process has it.
        """
        if not RELEASE_ID.fullmatch(release_id):
            allowed = "an id is a small letter, then small letters, digits and underscores"
            raise UsageError(f"'{release_id[:80]}' is not the id of a release: {allowed}.")
        return self._locked(f"release-{release_id}", wait=False)

    @contextlib.contextmanager
    def _locked(self, name: str, *, wait: bool) -> Iterator[None]:
        locks = self.root / _LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                release_id = name.removeprefix("release-")
                message = f"Release '{release_id}' is being changed by another process; wait until that one is done."
                raise ConflictError(message) from None
            yield

    def _found(self) -> Records:
        """The records of a folder in which releases were published before there was a registry."""
        found: dict[str, Entry] = {}
        dates: dict[str, tuple[date, datetime]] = {}
        for folder in release_folders(self.root):
            try:
                release = _described(folder)
                published_at = datetime.fromtimestamp((folder / DESCRIPTION).stat().st_mtime, tz=UTC)
            except (OSError, PachonError) as error:
                _log.warning("Release %s is left out: %s", folder.name, error)
                continue
            if release.kind is ReleaseKind.DATA_RELEASE:
                dates[release.id] = (release.date, published_at)
            found[release.id] = Entry(
                kind=release.kind,
                place=Place(Tier.FAST, folder.name),
                published_at=published_at,
                history=(LifecycleEvent(published_at, "published"),),
            )
        for release_id, lifecycle in lifecycles(dates).items():
            kept = Lifecycle.PREVIOUS if lifecycle is Lifecycle.ARCHIVED else lifecycle
            found[release_id] = replace(found[release_id], lifecycle=kept)
        return Records(dict(sorted(found.items())))


def lifecycles(dates: Mapping[str, tuple[date, datetime]]) -> dict[str, Lifecycle]:
    """Where data releases stand: the newest is current, the one before it previous, all others archived.

    Parameters
    ----------
    dates
        By id: the release date, and when it was published (UTC), which decides between releases of one day.
    """
    newest_first = sorted(dates, key=lambda release_id: dates[release_id], reverse=True)
    steps = chain((Lifecycle.CURRENT, Lifecycle.PREVIOUS), repeat(Lifecycle.ARCHIVED))
    return dict(zip(newest_first, steps, strict=False))


def _described(folder: Path) -> Release:
    release = read_description(folder / DESCRIPTION)
    if release.id != folder.name:
        raise SetupError(f"{folder / DESCRIPTION} calls it '{release.id}'.")
    return release


def build_of(folder_name: str) -> tuple[str, int] | None:
    """Which release a folder may be a build of, and the how manyth: `dr1` and `dr1.2` are builds 1 and 2 of `dr1`.

    None for any other name (`dr1.bak`, `dr1.20261125`): such folders are not ours.
    """
    match = _BUILD.fullmatch(folder_name)
    return (match[1], int(match[2] or 1)) if match else None


def release_folders(root: Path) -> Iterator[Path]:
    """Folders that may be releases, sorted: those whose names do not begin with a dot."""
    if root.is_dir():
        yield from sorted(path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir())


def bring_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
