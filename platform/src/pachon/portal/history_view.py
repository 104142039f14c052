"""What the person asked before, newest first; a click brings a query back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

import panel as pn

from pachon.portal.compute import MAP_QUERY_MARK, query_words
from pachon.portal.dress import button, stylesheet
from pachon.portal.turn import Later

if TYPE_CHECKING:
    from pachon_client import Execution, Running

_SHOWN = 6
_TAP = frozenset({"tap/sync", "tap/async"})
_OWN_NAME = "Portal"
_Shown = tuple[str, tuple[str, ...]]
"""The text of a query, and what is said of it."""
_NOTHING = '<p class="muted small">Queries you run are listed here; press one to open it again.</p>'


class HistoryView:
    """A short list of what was asked; `open_query` is told the ADQL of the one that was pressed."""

    def __init__(self, open_query: Callable[[str], None], *, turn: Later) -> None:
        self._open_query, self._turn = open_query, turn
        self.list = pn.Column(sizing_mode="stretch_width", margin=0)
        self._shown: list[_Shown] | None = None
        self.show(())

    def show(self, executions: Sequence[Execution], *, running: Sequence[Running] = ()) -> None:
        """Show these runs, each query once; the map's own look-ups and cone searches are left out.

        Parameters
        ----------
        running
            What waits or executes: comes first.
        """
        shown = [(job.adql, (_when(job.created_at), *_client(job.client), progress(job))) for job in running[:_SHOWN]]
        shown += [
            (run.query, (_when(run.started_at), *_client(run.client), _outcome(run)))
            for run in distinct_queries(executions)[:_SHOWN]
        ]
        if shown == self._shown:
            return
        self._shown = shown
        entries = [self._entry(adql, facts) for adql, facts in shown]
        self.list.objects = entries or [pn.pane.HTML(_NOTHING, margin=0, stylesheets=[stylesheet()])]

    def _entry(self, adql: str, facts: Sequence[str]) -> pn.Column:
        words = escape(" \N{MIDDLE DOT} ".join(facts))
        note = pn.pane.HTML(f'<span class="muted small">{words}</span>', stylesheets=[stylesheet()], margin=(2, 6))
        opening = button(
            query_words(adql),
            lambda: self._open_query(adql),
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
        if run.protocol in _TAP and not run.query.startswith(MAP_QUERY_MARK):
            asked.setdefault(run.query.strip(), run)
    return list(asked.values())


def progress(job: Running) -> str:
    """How it stands with a job: it runs, or its place in line and the time it will probably wait."""
    if job.phase != "QUEUED":
        return "runs now"
    place = job.in_line or {}
    return f"place {place['position']:.0f} in line, about {place['seconds']:.0f} s" if place else "waits for its turn"


def _client(name: str) -> tuple[str, ...]:
    """The program that asked, unless it was the Portal itself."""
    return () if name in {"", _OWN_NAME} else (f"by {name}",)


def _when(started_at: str | None) -> str:
    return f"{datetime.fromisoformat(started_at):%Y-%m-%d %H:%M} UTC" if started_at else "time unknown"


def _outcome(run: Execution) -> str:
    if run.phase != "COMPLETED":
        return run.phase.lower()
    return f"{run.row_count:,} row{'' if run.row_count == 1 else 's'}{', cut at the limit' if run.overflow else ''}"
