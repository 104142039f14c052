"""What the person asked before, newest first; a click brings a query back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import panel as pn

from pachon.portal.compute import MAP_QUERY_MARK
from pachon.portal.dress import button, stylesheet

if TYPE_CHECKING:
    from pachon_client import Execution

_SHOWN = 6
_LONGEST = 60
_NOTHING = '<p class="muted small">Queries you run are listed here; press one to open it again.</p>'


class HistoryView:
    """A short list of runs; `open_query` is told the ADQL of the one that was pressed."""

    def __init__(self, open_query: Callable[[str], None]) -> None:
        self._open_query = open_query
        self.list = pn.Column(sizing_mode="stretch_width", margin=0)
        self.show(())

    def show(self, executions: Sequence[Execution]) -> None:
        """Show these runs; the map's own look-ups and cone searches are left out."""
        asked = [run for run in executions if run.protocol == "tap/sync" and not run.query.startswith(MAP_QUERY_MARK)]
        if not asked:
            self.list.objects = [pn.pane.HTML(_NOTHING, margin=0, stylesheets=[stylesheet()])]
            return
        self.list.objects = [self._entry(run) for run in asked[:_SHOWN]]

    def _entry(self, run: Execution) -> pn.Column:
        words = " ".join(run.query.split())
        short = words if len(words) <= _LONGEST else words[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"
        note = pn.pane.HTML(
            f'<span class="muted small">{_when(run.started_at)} \N{MIDDLE DOT} {_outcome(run)}</span>',
            stylesheets=[stylesheet()],
            margin=(2, 6),
        )
        opening = button(
            short,
            lambda: self._open_query(run.query),
            kind="light",
            classes=["history-entry"],
            sizing_mode="stretch_width",
        )
        return pn.Column(opening, note, sizing_mode="stretch_width", margin=(0, 0, 8, 0))


def _when(started_at: str | None) -> str:
    return f"{datetime.fromisoformat(started_at):%Y-%m-%d %H:%M} UTC" if started_at else "time unknown"


def _outcome(run: Execution) -> str:
    if run.phase != "COMPLETED":
        return run.phase.lower()
    return f"{run.row_count:,} row{'' if run.row_count == 1 else 's'}{', cut at the limit' if run.overflow else ''}"
