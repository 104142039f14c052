"""All that must be right before the first process starts: the machine, the default catalogues, the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pachon.app.progress import Display
from pachon.app.settings import GIBIBYTE, Settings
from pachon.app.supervisor import checks
from pachon.core import clock
from pachon.preview import build
from pachon.preview.models import Catalogue, Places
from pachon.releases.registry import Registry
from pachon.releases.upkeep import recover
from pachon.state import database

_NEEDED_FOR_CATALOGUES_BYTES = 3 * GIBIBYTE
_NEEDED_BYTES = GIBIBYTE // 4
_CATALOGUES = "catalogues"
_DATABASE = "database"


def prepare(settings: Settings, display: Display) -> None:
    """Check the machine, build the default catalogues that are missing, bring the database to its newest form.

    Raises
    ------
    SetupError
        If the machine does not allow it, or not one catalogue could be had.
    """
    registry = Registry(settings.releases_path, settings.mass_path)
    keep = timedelta(hours=settings.data.keep_replaced_hours)
    recover(registry, at=clock.now(), keep=keep, report=display.say)
    wanted = build.missing(settings) if settings.data.default_catalogues else ()
    checks.check_disk(settings.home, needed_bytes=_NEEDED_FOR_CATALOGUES_BYTES if wanted else _NEEDED_BYTES)
    checks.check_ports(settings.listen)
    if wanted:
        display.begin(_CATALOGUES)
        build.build_missing(Places.from_settings(settings), _BuildReport(display))
        display.done(_CATALOGUES)
    display.begin(_DATABASE)
    database.migrate(settings.database_url)
    display.done(_DATABASE)


@dataclass(frozen=True, slots=True)
class _BuildReport:
    """Shows a build on the display."""

    display: Display

    def say(self, line: str) -> None:
        self.display.note(_CATALOGUES, line)

    def rows(self, catalogue: Catalogue, done: int) -> None:
        fraction = min(done / max(catalogue.row_count, 1), 1.0)
        self.display.note(_CATALOGUES, f"{catalogue.id}: reading rows", fraction=fraction)
