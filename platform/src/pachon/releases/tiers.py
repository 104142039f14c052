"""Moves archived releases to the mass tier, and removes folders that nobody reads any more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeGuard

from pachon.core.errors import PachonError, SetupError
from pachon.core.failpoints import failpoint
from pachon.releases.manifest import MANIFEST, Manifest, sha256_of
from pachon.releases.models import Lifecycle, Tier
from pachon.releases.registry import Entry, Place, Records, Registry, bring_to_disk

_MOVING = ".moving-"


def move_archived(registry: Registry, *, at: datetime, report: Callable[[str], None]) -> tuple[str, ...]:
    """Copy releases that are archived to the mass tier, compare all digests, and have them read there from then on.

    Nothing changes for readers until a copy is complete. What a killed move left is made anew.

    Parameters
    ----------
    report
        Takes one line a release.

    Returns
    -------
    tuple
        The releases that could not be moved; the lines say why. They are served from where they are.
    """
    if registry.mass is None:
        return ()
    left = []
    for release_id, entry in registry.read().entries.items():
        if _is_to_move(entry):
            try:
                with registry.only_one(release_id):
                    is_moved = _move(registry, release_id, at)
                if is_moved:
                    report(f"{release_id}: moved to mass storage.")
            except PachonError as error:
                report(f"{release_id}: not moved to mass storage. {error}")
                left.append(release_id)
    return tuple(left)


def _is_to_move(entry: Entry | None) -> TypeGuard[Entry]:
    return entry is not None and entry.lifecycle is Lifecycle.ARCHIVED and entry.place.tier is Tier.FAST


def _move(registry: Registry, release_id: str, at: datetime) -> bool:
    """Move one release; False if that is not to be done any more. The caller holds the lock of the release."""
    now = registry.read()
    entry = now.entries.get(release_id)
    if not _is_to_move(entry):
        return False
    source, place = registry.locate(entry.place), Place(Tier.MASS, entry.place.folder)
    target = registry.locate(place)
    if place in now.places or (target.exists() and target.samefile(source)):
        raise SetupError(f"Release '{release_id}' could not be moved to {target}: what lies there is in use.")
    moving = target.with_name(f"{_MOVING}{target.name}")
    try:
        for leftover in (moving, target):
            if leftover.exists():
                shutil.rmtree(leftover)
        _copy(source, moving)
        failpoint("move.before-rename")
        moving.rename(target)
        bring_to_disk(target.parent)
    except OSError as error:
        raise SetupError(f"Release '{release_id}' could not be moved to {target.parent}: {error.strerror}.") from None
    failpoint("move.before-commit")

    def decide(records: Records) -> Records:
        if records.entries.get(release_id) != entry:
            return records
        moved = replace(entry, place=place).after("moved to mass storage", at)
        return records.with_entry(release_id, moved).with_replaced(entry.place, at)

    registry.change(decide)
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy what the manifest lists; every copy is read again and compared with its digest."""
    folders = {target}
    for file in Manifest(source):
        copy = target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / file.path, copy)
        bring_to_disk(copy)
        failpoint("move.after-file")
        if sha256_of(copy) != file.sha256:
            raise SetupError(f"{source / file.path} or its copy is damaged: its digest is not that of the manifest.")
        folders.update(copy.parents[: file.path.count("/")])
    shutil.copy2(source / MANIFEST, target / MANIFEST)
    bring_to_disk(target / MANIFEST)
    for folder in folders:
        bring_to_disk(folder)


def remove_replaced(registry: Registry, *, at: datetime, keep: timedelta) -> int:
    """Remove folders that have not been read from for a time longer than any query runs.

    One that cannot be removed is tried again the next time.

    Parameters
    ----------
    keep
        How long they are kept.

    Returns
    -------
    int
        How many were removed.
    """
    if not registry.path.exists():
        return 0
    gone = []
    for each in registry.read().replaced:
        if each.since + keep <= at:
            folder = registry.locate(each.place)
            shutil.rmtree(folder, ignore_errors=True)
            failpoint("clean.before-commit")
            if not folder.exists():
                gone.append(each)
    if gone:
        registry.change(
            lambda records: replace(records, replaced=tuple(each for each in records.replaced if each not in gone))
        )
    return len(gone)
