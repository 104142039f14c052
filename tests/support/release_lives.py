"""Runs the life of a release in processes that kill themselves at named points.

As a program it reads lines from its input, each a task, a folder and perhaps a point, and answers each with the exit
status of a process forked for it: that saves the seconds that the imports of each would take.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pachon.core import failpoints
from pachon.releases.drafts import add_files, add_images, add_table, create, draft_ids
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.models import FileCollection, FileKind, ImageCollection
from pachon.releases.publishing import publish, retire
from pachon.releases.registry import Registry
from pachon.releases.tiers import move_archived, remove_replaced
from pachon.releases.upkeep import problems, recover, verify
from support.history import describe, make_draft, texts, write_sources

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
NEW = "hist_dr3"
WORLDS = (
    {"hist_dr1": "previous", "hist_dr2": "current"},
    {"hist_dr1": "archived", "hist_dr2": "previous", NEW: "current"},
    {"hist_dr1": "archived", NEW: "current"},
)
"""What readers may see, in order: before the new release, after it, and after its predecessor was deleted."""


def begin(folder: Path) -> None:
    """Two published releases, and the sources of a third."""
    registry = _registry(folder)
    for release_id in ("hist_dr1", "hist_dr2"):
        make_draft(registry, release_id)
        publish(registry, release_id, at=AT)
    (folder / "sources").mkdir()
    write_sources(folder / "sources", NEW)


def live(folder: Path) -> None:
    """Create, fill and publish the third, which archives the first; then delete the second. Goes on where it ended."""
    registry, sources, words = _registry(folder), folder / "sources", texts(NEW)
    if NEW not in registry.read().entries:
        if NEW not in draft_ids(registry):
            create(registry, describe(NEW), schema=sources / "schema.yaml")
        for name in ("table", "visits"):
            if not (registry.drafts / NEW / "tables" / words[name]).exists():
                add_table(registry, NEW, words[name], [sources / f"{name}.csv"])
        add_images(registry, NEW, ImageCollection(id="coadds", title="Coadds"), [sources / "images"])
        add_files(registry, NEW, FileCollection(id="raw", kind=FileKind.RAW, title="Raw"), [sources / "files"])
        publish(registry, NEW, at=AT)
    if left := move_archived(registry, at=AT, report=_refuse):
        raise AssertionError(left)
    if "hist_dr2" in registry.read().entries:
        retire(registry, "hist_dr2", at=AT, delete=True)
    remove_replaced(registry, at=AT, keep=timedelta(0))


def restart(folder: Path) -> None:
    """What an administrator does after a crash; then everything that is served must be whole."""
    registry = _registry(folder)
    if recover(registry, at=AT, keep=timedelta(days=1), report=lambda _: None):
        raise AssertionError("not moved")
    if damages := list(verify(registry)):
        raise AssertionError(damages)
    look(folder)


def look(folder: Path) -> None:
    """As readers see it, repaired or not: one of the worlds, and every file of it."""
    registry = _registry(folder)
    store = FolderReleaseStore(registry.root, registry.mass)
    seen = {release.id: release.lifecycle.value for release in store.releases()}
    if seen not in WORLDS:
        raise AssertionError(seen)
    for release in store.releases():
        if found := list(problems(store.folder(release))):
            raise AssertionError(release.id, found)
        for table in release.tables:
            if store.snapshot(release, table).table.row_count != 2:
                raise AssertionError(table.qualified_name)


def _refuse(line: str) -> None:
    if "moved to mass storage." not in line:
        raise AssertionError(line)


def _registry(folder: Path) -> Registry:
    return Registry(folder / "releases", folder / "mass")


_TASKS: dict[str, Callable[[Path], None]] = {"begin": begin, "live": live, "restart": restart, "look": look}


def _run(task: str, folder: str, point: str) -> int:
    """Exit status of a process that does a task, negative for a signal."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        if point:
            failpoints.arm(point)
        _TASKS[task](Path(folder))
        status = 0
    except BaseException:  # noqa: BLE001 -- the edge of a process: whatever it is, it is told and this process ends
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(f"{_run(*line.rstrip().split('|'))}\n")
        sys.stdout.flush()
