"""Filters of a result: a line of column, comparison and value, and below it those that are set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.core.errors import UsageError
from pachon.portal.dress import button, stylesheet
from pachon.portal.enter_field import EnterField
from pachon.portal.filter_text import filter_words, hint_for, needs_value, operators_for, typed_filter

if TYPE_CHECKING:
    from pachon.portal.turn import Later
    from pachon_client import Result

_MOST_FILTERS = 50
"""As many fit on a page; a view state that holds more is shown whole."""


class FilterView:
    """Sets filters one by one; a row must pass all of them.

    Parameters
    ----------
    changed
        Called when the person set or removed some.
    turn
        Calls a function in the session's own turn.
    """

    def __init__(self, *, changed: Callable[[], None], turn: Later) -> None:
        self._changed, self._turn = changed, turn
        self._result: Result | None = None
        self._documents: tuple[Mapping[str, Any], ...] = ()
        self._make_widgets()

    @property
    def documents(self) -> tuple[Mapping[str, Any], ...]:
        """The filters as a view state has them, in the order in which they were set."""
        return self._documents

    def offer(self, result: Result | None) -> None:
        """Offer the columns of another result, none filtered; with None, nothing."""
        self._result = result
        names = [] if result is None else list(result.table.column_names)
        kept = self.column.value if self.column.value in names else next(iter(names), None)
        self.column.param.update(options=names, value=kept)
        self.form.visible = bool(names)
        self._offer_operators()
        self.value.value = ""
        self.show(())

    def show(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Set these filters and no others; what they do to the rows is up to the caller."""
        self._documents = tuple(documents)
        self._say("")
        self.count.object = ""
        self.clear.visible = self.chips.visible = bool(documents)
        self.chips.objects = [
            button(
                f"{filter_words(each)}  \N{MULTIPLICATION SIGN}",
                partial(self._remove, each),
                turn=self._turn,
                kind="light",
                classes=["filter-chip"],
                gap=0,
                description="Remove this filter",
            )
            for each in documents
        ] + [self.clear]

    def tell(self, passing: int, *, of: int) -> None:
        """Say how many rows pass."""
        words = f"{passing:,} of {of:,} rows pass; downloads hold all rows." if self._documents else ""
        self.count.object = f'<p class="filter-count small" role="status">{words}</p>' if words else ""

    def refuse(self, why: str) -> None:
        """Say why the filters cannot be applied to these rows."""
        self._say(f"These filters are not applied: {why}")

    def _make_widgets(self) -> None:
        choice: dict[str, Any] = {"stylesheets": [stylesheet()], "margin": (0, 6, 6, 0), "options": []}
        self.column = pn.widgets.Select(label="Filter", width=176, **choice)
        self.op = pn.widgets.Select(label="Comparison", width=140, **choice)
        self.column.param.watch(lambda _: self._turn(self._offer_operators), "value")
        self.op.param.watch(lambda _: self._turn(self._hint), "value")
        self.value = EnterField(
            label="Value", width=176, stylesheets=[stylesheet()], margin=(0, 6, 6, 0), css_classes=["filter-value"],
            on_enter=self._add, turn=self._turn,
        )  # fmt: skip
        adding = button("Add filter", self._add, turn=self._turn, classes=["add-filter"])
        adding.margin = (0, 0, 6, 0)
        self.clear = button("Clear filters", self._remove_all, turn=self._turn, classes=["clear-filters"], gap=0)
        html: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "stylesheets": [stylesheet()]}
        self.trouble, self.count = (pn.pane.HTML("", **html) for _ in range(2))
        self.chips = pn.FlexBox(gap="6px", margin=(0, 0, 6, 0), visible=False)
        self.form = pn.Column(
            pn.FlexBox(self.column, self.op, self.value, adding, align_items="end", margin=0),
            self.trouble, self.chips, self.count, sizing_mode="stretch_width", margin=0, visible=False,
        )  # fmt: skip

    def _offer_operators(self) -> None:
        if self._result is None or self.column.value is None:
            return
        offered = operators_for(self._result.table.schema.field(self.column.value).type)
        kept = self.op.value if self.op.value in offered.values() else next(iter(offered.values()))
        self.op.param.update(options=offered, value=kept)
        self._hint()

    def _hint(self) -> None:
        if self._result is not None and self.column.value is not None and self.op.value is not None:
            kind = self._result.table.schema.field(self.column.value).type
            self.value.placeholder = hint_for(self.op.value, kind)
            self.value.disabled = not needs_value(self.op.value)

    def _add(self) -> None:
        result, column = self._result, self.column.value
        if result is None or column is None:
            return
        kind = result.table.schema.field(column).type
        try:
            asked = typed_filter(column, self.op.value, self.value.value, kind=kind)
            if len(self._documents) >= _MOST_FILTERS:
                raise UsageError(f"{len(self._documents)} filters are set; at most {_MOST_FILTERS} are allowed.")  # noqa: TRY301 -- said where the others are
        except UsageError as error:
            self._say(error.message)
            return
        self.value.value = ""
        self._set((*(each for each in self._documents if each != asked), asked))

    def _remove(self, document: Mapping[str, Any]) -> None:
        self._set(tuple(each for each in self._documents if each is not document))

    def _remove_all(self) -> None:
        self._set(())

    def _set(self, documents: tuple[Mapping[str, Any], ...]) -> None:
        self.show(documents)
        self._changed()

    def _say(self, message: str) -> None:
        words = f'<p class="banner banner-error" role="alert">{escape(message)}</p>' if message else ""
        self.trouble.object = words
