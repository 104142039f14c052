"""What became of the open query elsewhere: announced, never put in the place of what a person has before them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.portal.dress import button, stylesheet
from pachon.portal.state import Newest
from pachon_client import ForbiddenError, NotFoundError, PachonClientError

if TYPE_CHECKING:
    from pachon.portal.turn import Turn
    from pachon_client import Query

_GONE = (
    "This query was deleted, or is not shared with you any more. What you see stays until you leave; "
    "<em>Save as new</em> keeps it."
)
_AGAIN_S = 0.3
News = tuple[int, str]
"""Number of a version, and the id of its run if that is what is new."""


class NewsView:
    """Announces new versions and runs of one query, and its end.

    Parameters
    ----------
    pool, turn
        Where the query is read, and the session's own turn.
    seen
        The query as this page knows it, None if there is none; and whether it is being changed here right now.
    read
        Reads it again; blocks.
    refreshed
        Told the query as it is now, for lists of its versions and shares.
    show
        Shows the newest version in the place of what is there.
    """

    def __init__(
        self,
        *,
        pool: Executor,
        turn: Turn,
        seen: Callable[[], tuple[Query | None, bool]],
        read: Callable[[], Query],
        refreshed: Callable[[Query], None],
        show: Callable[[], None],
    ) -> None:
        self._turn, self._seen, self._read, self._refreshed = turn, seen, read, refreshed
        self._work = Newest(pool, turn)
        self._kept: News | None = None
        self._found: News | None = None
        html: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "stylesheets": [stylesheet()]}
        self.words = pn.pane.HTML("", **html)
        self._show_button = button("Show it", show, turn=turn, kind="primary", classes=["show-news"])
        self._keep_button = button("Keep mine", self._keep, turn=turn, classes=["keep-mine"])
        self._buttons = pn.FlexBox(self._show_button, self._keep_button, gap="6px", margin=(6, 0), visible=False)
        self.form = pn.Column(self.words, self._buttons, sizing_mode="stretch_width", margin=0)

    def look(self) -> None:
        """Look what became of the query; called when something of it changed, wherever."""
        query, is_busy = self._seen()
        if is_busy:
            self._turn.after(_AGAIN_S, self.look)
        elif query is not None:
            self._work.ask(self._read, self._found_out, self._failed)

    def clear(self) -> None:
        """Announce nothing: what is shown is the newest."""
        self._kept = self._found = None
        self._say("")

    def _found_out(self, theirs: Query) -> None:
        mine, is_busy = self._seen()
        if is_busy:
            self._turn.after(_AGAIN_S, self.look)
            return
        if mine is None or mine.id != theirs.id:
            return
        self._refreshed(theirs)
        news = _news(mine, theirs)
        if news is not None and news not in {self._kept, self._found}:
            self._found = news
            self._say(_announcement(theirs, is_new=theirs.version > mine.version))

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, NotFoundError | ForbiddenError):
            self._say(_GONE, has_choice=False)
        elif not isinstance(error, PachonClientError):
            raise error

    def _keep(self) -> None:
        """Go on with what is there; the next change is announced again."""
        self._kept = self._found
        self._say("")

    def _say(self, words: str, *, has_choice: bool = True) -> None:
        self.words.object = f'<div class="banner banner-warning news" role="status">{words}</div>' if words else ""
        self._buttons.visible = bool(words) and has_choice


def run_of(query: Query) -> str:
    """Id of the run of the newest version; empty if it was not run."""
    return str((query.document["current"]["run"] or {}).get("id", ""))


def _news(mine: Query, theirs: Query) -> News | None:
    """What is to be announced: a newer version, or a run of the same one that has found its rows."""
    if theirs.version > mine.version:
        return theirs.version, ""
    is_new_run = theirs.version == mine.version and run_of(theirs) != run_of(mine)
    return (theirs.version, run_of(theirs)) if is_new_run and theirs.state == "COMPLETED" else None


def _announcement(theirs: Query, *, is_new: bool) -> str:
    current = theirs.document["current"]
    run = current["run"] or {}
    if not is_new:
        return f"<p>{escape(str(run.get('asked_by', 'somebody')))} ran version {theirs.version} again.</p>"
    note = f": {escape(str(current['note']))}" if current.get("note") else ""
    return f"<p><strong>Version {theirs.version} by {escape(str(current['author']))}</strong>{note}</p>" + _text(theirs)


def _text(theirs: Query) -> str:
    return (
        f"<details><summary>{escape(theirs.name)}</summary>"
        f'<pre class="copy" tabindex="0">{escape(theirs.adql)}</pre><p>{escape(theirs.notes)}</p></details>'
    )
