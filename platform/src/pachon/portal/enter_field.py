"""A field to type in, whose Enter does what stands there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn

if TYPE_CHECKING:
    from pachon.portal.turn import Later


class EnterField(pn.widgets.TextInput):  # type: ignore[misc]  # Panel's types are left aside
    """A field in which Enter takes what is there; Panel's own empties it when nothing was typed since it was set."""

    def __init__(self, *, on_enter: Callable[[], None], turn: Later, **settings: Any) -> None:  # noqa: ANN401 -- Panel's parameters
        super().__init__(**settings)
        self._on_enter, self._turn = on_enter, turn

    def _process_event(self, event: Any) -> None:  # noqa: ANN401 -- Panel's event
        if event.event_name == "enter-pressed":
            if event.value_input:
                self.value = event.value_input
            self._turn(self._on_enter)
