"""The saved query of a session: what is at hand gets a name, and a link brings it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.portal.copies import copies_html
from pachon.portal.dress import button, stylesheet
from pachon.portal.news_view import NewsView, run_of
from pachon.portal.share_view import ShareView
from pachon.portal.state import Newest
from pachon.portal.viewed import MOST_PICKED, Viewed, picked_rows
from pachon_client import StaleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pachon.portal.state import Source
    from pachon.portal.turn import Turn
    from pachon_client import Query, Result

_EMPTY = (
    '<p class="muted small">Run a query, then give it a name here: its text, its rows, your selection, the plots and '
    'the place on the sky stay together. <a href="{root}/portal/queries">All saved queries</a></p>'
)


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a person has before them.

    Parameters
    ----------
    selected
        Mask of the rows selected, shape (rows,); None for all.
    form
        What of the page the text does not tell.
    """

    adql: str
    max_rows: int | None
    result: Result | None
    selected: NDArray[np.bool_] | None
    viewed: Viewed
    form: Mapping[str, Any]

    def view(self) -> tuple[dict[str, Any], str]:
        """The view state, and what of it could not be kept; takes longer with more rows."""
        viewed, lost = self.viewed, ""
        if self.selected is not None and not viewed.bounds and self.result is not None:
            picked = picked_rows(self.result, self.selected)
            viewed = replace(viewed, picked=picked)
            if picked is None:
                lost = f"The selection is not kept: only up to {MOST_PICKED:,} rows with an identifier can be named."
        return viewed.document(), lost


class SavedView:
    """Name, notes and tags of one query, and what may be done with it.

    Parameters
    ----------
    source, pool, turn
        Where queries are kept, where that is waited for, and the session's own turn.
    at_hand
        What is to be saved; None if nothing was asked yet.
    show
        Shows a query that was opened.
    explain
        Says in words what went wrong.
    base_url
        Public address of the platform.
    """

    def __init__(
        self,
        source: Source,
        *,
        pool: Executor,
        turn: Turn,
        at_hand: Callable[[], AtHand | None],
        show: Callable[[Query], None],
        explain: Callable[[BaseException], str],
        base_url: str,
    ) -> None:
        self._source, self._at_hand, self._show_query, self._explain = source, at_hand, show, explain
        self._base_url = base_url
        self._work = Newest(pool, turn)
        self.query: Query | None = None
        self._address = ""
        self._sharing = ShareView(pool=pool, turn=turn, explain=explain, restored=self.open)
        self.news = NewsView(
            pool=pool,
            turn=turn,
            seen=lambda: (self.query, self._work.is_busy),
            read=lambda: source.open(self._address_of()),
            refreshed=self._refreshed,
            show=lambda: self.open(self._address_of()),
        )
        self._make_widgets(turn)

    def open(self, address: str) -> None:
        """Open a saved query by its id or its link, and show it."""
        self._say("Opening the saved query\N{HORIZONTAL ELLIPSIS}")
        self._address = address
        self._work.ask(lambda: self._source.open(address), self._opened, self._failed)

    def missing(self, words: tuple[str, ...]) -> None:
        """Say what of the query could not be shown."""
        if words:
            self._say(f"Not shown here, and kept as it is: {', '.join(words)}.", kind="warning")

    def say(self, message: str) -> None:
        """Say how it stands with the query."""
        self._say(message, kind="warning")

    def _make_widgets(self, turn: Turn) -> None:
        text: dict[str, Any] = {"stylesheets": [stylesheet()], "sizing_mode": "stretch_width", "margin": (2, 6)}
        self.name = pn.widgets.TextInput(label="Name", placeholder="the beginning of the text", **text)
        self.tags = pn.widgets.TextInput(label="Tags", placeholder="with commas between", **text)
        self.notes = pn.widgets.TextAreaInput(label="Notes", rows=2, auto_grow=True, max_rows=10, **text)
        self.save_button = button("Save", self._save, turn=turn, kind="primary", classes=["save-query"])
        self.copy_button = button("Save as new", self._save_new, turn=turn, classes=["save-as-new"], visible=False)
        self.both_button = button("Keep both", self._keep_both, turn=turn, classes=["keep-both"], visible=False)
        self.theirs_button = button("Take theirs", self._take_theirs, turn=turn, classes=["take-theirs"], visible=False)
        html: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "stylesheets": [stylesheet()]}
        self.head = pn.pane.HTML(_EMPTY.format(root=self._base_url), **html)
        self.status, self.links = pn.pane.HTML("", **html), pn.pane.HTML("", **html)
        buttons = (self.save_button, self.copy_button, self.both_button, self.theirs_button)
        self.form = pn.Column(
            self.head, self.news.form, self.name, self.tags, self.notes, pn.FlexBox(*buttons, gap="6px", margin=(6, 0)),
            self.status, self.links, self._sharing.form, sizing_mode="stretch_width", margin=0,
        )  # fmt: skip

    @property
    def _may_edit(self) -> bool:
        return self.query is not None and self.query.document["access"] != "reader"

    def _save(self) -> None:
        if self._may_edit:
            self._keep(self._edit)
        else:
            self._save_new()

    def _save_new(self) -> None:
        def create(hand: AtHand, written: Mapping[str, Any], view: Mapping[str, Any]) -> Query:
            given = dict(written)
            name = given.pop("name")
            return self._source.ask(hand.adql, name, max_rows=hand.max_rows, view=view, form=hand.form, **given)

        self._keep(create)

    def _keep_both(self) -> None:
        self._keep(lambda hand, written, view: self._edit(hand, written, view, keep_both=True))

    def _edit(
        self, hand: AtHand, written: Mapping[str, Any], view: Mapping[str, Any], *, keep_both: bool = False
    ) -> Query:
        query = self.query
        if query is None:
            raise RuntimeError("Nothing was opened that could be changed.")
        changes: dict[str, Any] = {**written, "view": dict(view), "form": dict(hand.form)}
        is_other = hand.adql.strip() != query.adql.strip()
        if is_other:
            changes |= {"adql": hand.adql, "max_rows": hand.max_rows}
        query.edit(note="Saved in the Portal", keep_both=keep_both, **changes)
        return query.run() if is_other else query

    def _keep(self, keep: Callable[[AtHand, Mapping[str, Any], Mapping[str, Any]], Query]) -> None:
        hand = self._at_hand()
        if hand is None:
            self._say("Run a query first; then it is saved with what you did with its rows.", kind="warning")
            return
        tags = [tag.strip() for tag in (self.tags.value_input or self.tags.value).split(",")]
        written = {
            "name": (self.name.value_input or self.name.value).strip(),
            "notes": (self.notes.value_input or self.notes.value).strip(),
            "tags": [tag for tag in tags if tag],
        }

        def work() -> tuple[Query, str]:
            view, lost = hand.view()
            return keep(hand, written, view), lost

        self._say("Saving\N{HORIZONTAL ELLIPSIS}")
        self._work.ask(work, lambda kept: self._saved(*kept), self._failed)

    def _saved(self, query: Query, lost: str) -> None:
        self._show(query)
        link = f'<a href="{escape(query.portal_url)}">Its link</a>'
        kind = "warning" if lost else "found"
        self.status.object = f'<p class="banner banner-{kind}" role="status">Saved. {link}. {escape(lost)}</p>'

    def _opened(self, query: Query) -> None:
        self._show(query)
        self._say("")
        self._show_query(query)

    def _address_of(self) -> str:
        """Where the query of this page is read again: by the link that opened it, if it was opened by one."""
        known = self.query.id if self.query is not None else ""
        return self._address if known in self._address else known

    def _refreshed(self, theirs: Query) -> None:
        """The query as it is now; what is on the page stays of the version that it is of."""
        mine = self.query
        if mine is not None and (theirs.version, run_of(theirs)) == (mine.version, run_of(mine)):
            self.query = theirs
        self._sharing.refresh()

    def _show(self, query: Query) -> None:
        self.query = query
        self.news.clear()
        self._sharing.show(query)
        self.name.value, self.tags.value, self.notes.value = query.name, ", ".join(query.tags), query.notes
        self.save_button.label = "Save" if self._may_edit else "Save a copy"
        self.copy_button.visible = self._may_edit
        self.both_button.visible = self.theirs_button.visible = False
        self.head.object = (
            f'<p class="small"><strong>{escape(query.name)}</strong> <span class="muted">of {escape(query.owner)}, '
            f"version {query.version}</span> "
            f'<a href="{escape(self._base_url)}/portal/queries">All saved queries</a></p>'
        )
        address = query.portal_url if "link=" in query.portal_url else query.id
        lines = copies_html(query.document, address, api_url=f"{self._base_url}/api")
        lab = escape(query.document["links"]["lab"])
        self.links.object = f'<p><a class="open-in-lab" href="{lab}">Open in Lab</a></p>{lines}'

    def _take_theirs(self) -> None:
        if self.query is not None:
            self.open(self._address_of())

    def _failed(self, error: BaseException) -> None:
        query = self.query
        if isinstance(error, StaleError) and query is not None:
            self._work.ask(lambda: self._source.open(self._address_of()), self._show_theirs, self._failed)
            return
        self._say(self._explain(error), kind="error")

    def _show_theirs(self, theirs: Query) -> None:
        """Show what somebody else saved in the meantime; nothing of either is lost."""
        author = escape(str(theirs.document["current"]["author"]))
        self.both_button.visible = self.theirs_button.visible = True
        self.status.object = (
            f'<div class="banner banner-warning" role="alert"><p>{author} saved version {theirs.version} since you '
            f"opened this. Keep both as versions, or take theirs and lose what you did.</p>"
            f"<details><summary>Theirs: {escape(theirs.name)}</summary>"
            f'<pre class="copy" tabindex="0">{escape(theirs.adql)}</pre><p>{escape(theirs.notes)}</p></details></div>'
        )

    def _say(self, message: str, *, kind: str = "found") -> None:
        role = "alert" if kind == "error" else "status"
        self.status.object = f'<p class="banner banner-{kind}" role="{role}">{escape(message)}</p>' if message else ""
