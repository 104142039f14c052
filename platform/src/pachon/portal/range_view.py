"""Ranges that a person types to select rows: what a box in a plot does, for the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.core.errors import UsageError
from pachon.portal import compute
from pachon.portal.dress import button, stylesheet
from pachon.portal.enter_field import EnterField

if TYPE_CHECKING:
    from pachon.portal.turn import Later

Range = tuple[float, float]


class RangeView:
    """From and to of some quantities, and a button.

    Parameters
    ----------
    count
        How many quantities there are.
    select
        Told the ranges when the person asks for them; an empty field leaves its side open.
    turn
        Calls a function in the session's own turn.
    """

    def __init__(self, count: int, *, select: Callable[[Sequence[Range]], None], turn: Later) -> None:
        self._select = select
        options: dict[str, Any] = {
            "stylesheets": [stylesheet()],
            "width": 150,
            "css_classes": ["range-field"],
            "margin": (4, 6, 0, 0),
        }
        options |= {"on_enter": self._asked, "turn": turn, "placeholder": "any"}
        self.fields = [(EnterField(**options), EnterField(**options)) for _ in range(count)]
        self.names = [""] * count
        self.trouble = pn.pane.HTML("", stylesheets=[stylesheet()], sizing_mode="stretch_width", margin=0)
        asking = button("Select", self._asked, turn=turn, classes=["select-range"])
        asking.margin = (6, 0, 0, 0)
        self.form = pn.Column(
            pn.FlexBox(*(field for pair in self.fields for field in pair), asking, align_items="end", margin=0),
            self.trouble,
            sizing_mode="stretch_width",
            margin=(8, 0, 0, 0),
        )

    def name(self, names: Sequence[str]) -> None:
        """Name the quantities, and forget ranges of others."""
        if list(names) != self.names:
            self.names = list(names)
            self.show(())
        for (low, high), name in zip(self.fields, names, strict=True):
            low.label, high.label = f"{name} from", f"{name} to"

    def show(self, ranges: Sequence[Range]) -> None:
        """Show ranges that were selected in another way; with none, empty the fields."""
        self.trouble.object = ""
        texts = [(f"{min(pair):.5g}", f"{max(pair):.5g}") for pair in ranges] or [("", "")] * len(self.fields)
        for (low, high), (low_text, high_text) in zip(self.fields, texts, strict=True):
            low.value, high.value = low_text, high_text

    def _asked(self) -> None:
        try:
            ranges = [
                compute.parse_range(low.value, high.value, name=name)
                for (low, high), name in zip(self.fields, self.names, strict=True)
            ]
        except UsageError as error:
            self.trouble.object = f'<p class="banner banner-error" role="alert">{escape(error.message)}</p>'
            return
        self.trouble.object = ""
        self._select(ranges)
