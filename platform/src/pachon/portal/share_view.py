"""With whom the saved query of a session is shared, and its former versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.core.errors import UsageError
from pachon.portal.dress import button, stylesheet
from pachon.portal.state import Newest

if TYPE_CHECKING:
    from pachon.portal.turn import Later
    from pachon_client import Query, QueryVersion, Share

_AUDIENCES = {"a person": "person", "a group of mine": "group", "whoever has a link": "link", "everybody": "public"}
_LONGEST_DAYS = 3_650
_SHOWN_VERSIONS = 20


class ShareView:
    """Shares a query, ends shares, and makes former versions the newest again; for one query at a time.

    Parameters
    ----------
    pool, turn
        Where answers are waited for, and the session's own turn.
    explain
        Says in words what went wrong.
    restored
        Told the id of a query of which a former version was made the newest.
    """

    def __init__(
        self,
        *,
        pool: Executor,
        turn: Later,
        explain: Callable[[BaseException], str],
        restored: Callable[[str], None],
    ) -> None:
        self._turn, self._explain, self._restored = turn, explain, restored
        self._work, self._lists = Newest(pool, turn), Newest(pool, turn)
        self._query: Query | None = None
        self._listed: tuple[object, ...] | None = None
        self._make_widgets()

    def show(self, query: Query) -> None:
        """Show another query: its shares to its owner, its versions to all."""
        self._query = query
        self.form.visible = True
        self.sharing.visible = query.document["access"] == "owner"
        self._say("")
        self._list()

    def refresh(self) -> None:
        """List its shares and versions anew."""
        self._list()

    def _make_widgets(self) -> None:
        text: dict[str, Any] = {"stylesheets": [stylesheet()], "sizing_mode": "stretch_width", "margin": (2, 6)}
        html: dict[str, Any] = {"stylesheets": [stylesheet()], "sizing_mode": "stretch_width", "margin": (2, 6)}
        self.audience = pn.widgets.Select(label="With", options=_AUDIENCES, value="person", **text)
        self.who = pn.widgets.TextInput(label="Name of the person or group", **text)
        self.days = pn.widgets.TextInput(label="For how many days", placeholder="for ever", **text)
        self.may_edit = pn.widgets.Checkbox(label="May change it", **text)
        self.share_button = button("Share", self._share, turn=self._turn, classes=["share-query"])
        self.status, self.shares = pn.pane.HTML("", **html), pn.Column(sizing_mode="stretch_width", margin=0)
        self.versions = pn.Column(sizing_mode="stretch_width", margin=0)
        self.audience.param.watch(lambda _: self._turn(self._audience_chosen), "value")
        card: dict[str, Any] = {"collapsed": True, "sizing_mode": "stretch_width", "margin": (6, 0)}
        card |= {"stylesheets": [stylesheet()], "header_background": "var(--pachon-surface-sunken)"}
        card |= {"header_color": "var(--pachon-text)"}
        self.sharing = pn.Card(
            pn.pane.HTML(
                "<p class='muted small'>Whoever sees a query sees its rows only if they may read its data.</p>", **html
            ),
            self.audience, self.who, self.may_edit, self.days, self.share_button, self.status, self.shares,
            title="Share it", css_classes=["share-form"], **card,
        )  # fmt: skip
        self.history = pn.Card(self.versions, title="Versions", **card)
        self.form = pn.Column(self.sharing, self.history, sizing_mode="stretch_width", margin=0, visible=False)

    def _audience_chosen(self) -> None:
        is_named = self.audience.value in {"person", "group"}
        self.who.visible = self.may_edit.visible = is_named

    def _share(self) -> None:
        query = self._query
        if query is None:
            return
        try:
            given = share_of(
                self.audience.value,
                who=self.who.value_input or self.who.value,
                days=self.days.value_input or self.days.value,
                may_edit=self.may_edit.value,
            )
        except UsageError as error:
            self._say(error.message, kind="error")
            return
        self._work.ask(lambda: query.share(**given), self._shared, self._failed)

    def _shared(self, share: Share) -> None:
        self._say("Shared.")
        if share.address:
            self.status.object = (
                '<div class="banner banner-found" role="status"><p>Send this address; it is told only now.</p>'
                f'<pre class="copy share-address" tabindex="0">{escape(share.address)}</pre></div>'
            )
        self._list()

    def _list(self) -> None:
        query = self._query
        if query is None:
            return

        def collect() -> tuple[Sequence[Share], Sequence[QueryVersion]]:
            return (query.shares() if query.document["access"] == "owner" else ()), query.versions()

        self._lists.ask(collect, lambda found: self._show_lists(query, *found), self._failed)

    def _show_lists(self, query: Query, shares: Sequence[Share], versions: Sequence[QueryVersion]) -> None:
        listed = (query.id, query.document["access"], tuple(shares), tuple(versions))
        if query is not self._query or listed == self._listed:
            return  # whoever is about to press an entry finds it where it was
        self._listed = listed
        self.shares.objects = [
            self._entry(share_words(share), "End", partial(self._unshare, share)) for share in shares
        ] or [self._words("Shared with nobody.")]
        may_edit = query.document["access"] != "reader"
        self.versions.objects = [
            self._entry(version_words(each), "Restore", partial(self._restore, each.number))
            if may_edit and each.number != versions[0].number
            else self._words(version_words(each))
            for each in versions[:_SHOWN_VERSIONS]
        ]

    def _words(self, text: str) -> pn.pane.HTML:
        return pn.pane.HTML(
            f'<span class="small">{escape(text)}</span>',
            stylesheets=[stylesheet()],
            sizing_mode="stretch_width",
            margin=(4, 6),
        )

    def _entry(self, text: str, action: str, press: Callable[[], None]) -> pn.Row:
        acting = button(action, press, turn=self._turn, kind="light", classes=["entry-action"])
        return pn.Row(self._words(text), acting, sizing_mode="stretch_width", margin=(2, 0))

    def _unshare(self, share: Share) -> None:
        query = self._query
        if query is not None:
            self._work.ask(lambda: query.unshare(share), lambda _: self._list(), self._failed)

    def _restore(self, number: int) -> None:
        query = self._query
        if query is not None:
            self._work.ask(lambda: query.restore(number), lambda restored: self._restored(restored.id), self._failed)

    def _failed(self, error: BaseException) -> None:
        self._say(self._explain(error), kind="error")

    def _say(self, message: str, *, kind: str = "found") -> None:
        role = "alert" if kind == "error" else "status"
        self.status.object = f'<p class="banner banner-{kind}" role="{role}">{escape(message)}</p>' if message else ""


def share_of(audience: str, *, who: str, days: str, may_edit: bool) -> dict[str, Any]:
    """What `pachon_client.Query.share` is to be given.

    Parameters
    ----------
    audience
        `person`, `group`, `link` or `public`.
    days
        As typed: for how long; empty for ever.

    Raises
    ------
    UsageError
        Without a name where one is needed, or if the days are no number that is possible.
    """
    given: dict[str, Any] = {}
    if audience in {"person", "group"}:
        if not who.strip():
            raise UsageError(f"Name the {audience} to share it with.", parameter="who")
        given = {audience: who.strip(), "may_edit": may_edit}
    elif audience == "public":
        given["public"] = True
    if days.strip():
        if not (days.strip().isdecimal() and 1 <= int(days.strip()[:6]) <= _LONGEST_DAYS):
            message = f"Days must be a whole number from 1 to {_LONGEST_DAYS}, or empty, not '{days.strip()[:20]}'."
            raise UsageError(message, parameter="days")
        given["expires_at"] = datetime.now(UTC) + timedelta(days=int(days.strip()[:6]))
    return given


def share_words(share: Share) -> str:
    """A share in a few words."""
    who = {"link": "Whoever has a link", "public": "Everybody"}.get(share.audience, f"{share.who}")
    until = f", until {share.expires_at[:10]}" if share.expires_at else ""
    return f"{who}: may {'read and change' if share.may_edit else 'read'}{until}"


def version_words(version: QueryVersion) -> str:
    """A version in a few words."""
    at = (version.created_at or "")[:16].replace("T", " ")
    note = f", {version.note}" if version.note else ""
    return f"{version.number}: {version.name}, {version.author}, {at} UTC{note}"
