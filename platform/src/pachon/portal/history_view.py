"""What the person asked before, newest first; a click brings a query back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import panel as pn

from pachon.portal.compute import MAP_QUERY_MARK, query_words
from pachon.portal.dress import button, stylesheet
from pachon.portal.turn import Later

if TYPE_CHECKING:
    from pachon_client import Execution

_SHOWN = 6
_NOTHING = '<p class="muted small">Queries you run are listed here; press one to open it again.</p>'


class HistoryView:
    """A short list of what was asked; `open_query` is told the ADQL of the one that was pressed."""

    def __init__(self, open_query: Callable[[str], None], *, turn: Later) -> None:
        self._open_query, self._turn = open_query, turn
        self.list = pn.Column(sizing_mode="stretch_width", margin=0)
        self.show(())

    def show(self, executions: Sequence[Execution]) -> None:
        """Show these runs, each query once; the map's own look-ups and cone searches are left out."""
        asked = distinct_queries(executions)
        if not asked:
            self.list.objects = [pn.pane.HTML(_NOTHING, margin=0, stylesheets=[stylesheet()])]
            return
        self.list.objects = [self._entry(run) for run in asked[:_SHOWN]]

    def _entry(self, run: Execution) -> pn.Column:
        note = pn.pane.HTML(
            f'<span class="muted small">{_when(run.started_at)} \N{MIDDLE DOT} {_outcome(run)}</span>',
            stylesheets=[stylesheet()],
            margin=(2, 6),
        )
        opening = button(
            query_words(run.query),
            lambda: self._open_query(run.query),
            turn=self._turn,
            kind="light",
            classes=["history-entry"],
            sizing_mode="stretch_width",
        )
        return pn.Column(opening, note, sizing_mode="stretch_width", margin=(0, 0, 8, 0))


def distinct_queries(executions: Sequence[Execution]) -> list[Execution]:
    """The last run of each query that a person wrote, newest first."""
    asked: dict[str, Execution] = {}
    for run in executions:
        if run.protocol == "tap/sync" and not run.query.startswith(MAP_QUERY_MARK):
            asked.setdefault(run.query.strip(), run)
    return list(asked.values())


def _when(started_at: str | None) -> str:
    return f"{datetime.fromisoformat(started_at):%Y-%m-%d %H:%M} UTC" if started_at else "time unknown"


def _outcome(run: Execution) -> str:
    if run.phase != "COMPLETED":
        return run.phase.lower()
    return f"{run.row_count:,} row{'' if run.row_count == 1 else 's'}{', cut at the limit' if run.overflow else ''}"
