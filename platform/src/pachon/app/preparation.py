"""The default catalogues: looked after by a process of its own while the platform starts.

A start finds in milliseconds that nothing has changed since they were last complete; only otherwise does it import what
builds catalogues, which takes seconds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pachon
from pachon.app.progress import Display
from pachon.app.settings import GIBIBYTE, Settings
from pachon.app.supervisor import checks
from pachon.app.supervisor.models import Layout

if TYPE_CHECKING:
    from pachon.preview.models import Catalogue

CATALOGUES = "catalogues"
NEEDED_BYTES = GIBIBYTE // 4
_NEEDED_FOR_CATALOGUES_BYTES = 3 * GIBIBYTE
_RECIPES = Path(pachon.__file__).with_name("preview")
_PER_CENT = re.compile(r"(.*) (\d+) %")


def are_complete(settings: Settings) -> bool:
    """Whether the default catalogues are unchanged since they were last complete, or not wanted at all."""
    if not settings.data.default_catalogues:
        return True
    try:
        return Layout(settings.home).catalogues.read_text() == _fingerprint(settings)
    except OSError:
        return False


def prepare(settings: Settings) -> None:
    """Build the default catalogues that are missing, telling lines on standard output.

    Raises
    ------
    SetupError
        If the disk is too full, or not one catalogue could be had.
    """
    from pachon.preview import build  # noqa: PLC0415 -- seconds of imports
    from pachon.preview.models import Places  # noqa: PLC0415 -- the same

    if build.missing(settings):
        checks.check_disk(settings.home, needed_bytes=_NEEDED_FOR_CATALOGUES_BYTES)
        build.build_missing(Places.from_settings(settings), _Teller())
    if not build.missing(settings):
        Layout(settings.home).catalogues.write_text(_fingerprint(settings))


def show(line: str, display: Display) -> None:
    """Show a line that `prepare` told."""
    found = _PER_CENT.fullmatch(line)
    if found:
        display.note(CATALOGUES, found[1], fraction=int(found[2]) / 100)
    else:
        display.note(CATALOGUES, line)


def _fingerprint(settings: Settings) -> str:
    """Changes with every catalogue that is built or removed, and with every recipe."""
    built = (*settings.releases_path.glob("*/manifest.json"), *settings.releases_path.glob("registry.json"))
    files = sorted([*_RECIPES.rglob("*.*"), *built])
    seen = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files if path.suffix != ".pyc"]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()


@dataclass(slots=True)
class _Teller:
    """Tells a build in lines, of its rows each full per cent."""

    _told: dict[str, int] = field(default_factory=dict)

    def say(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201 -- the supervisor reads it

    def rows(self, catalogue: Catalogue, done: int) -> None:
        per_cent = min(100 * done // max(catalogue.row_count, 1), 100)
        if self._told.get(catalogue.id) != per_cent:
            self._told[catalogue.id] = per_cent
            self.say(f"{catalogue.id}: reading rows {per_cent} %")
