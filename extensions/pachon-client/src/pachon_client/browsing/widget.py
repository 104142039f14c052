"""The widget: passes messages between the browser and what is browsed."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anywidget

from pachon_client.browsing.messages import answer
from pachon_client.browsing.model import Browsing

_FRONT = files("pachon_client.browsing") / "front"


class BrowseWidget(anywidget.AnyWidget):
    """Shows what is browsed; holds no rows itself, they are asked for page by page."""

    _esm = (_FRONT / "browse.js").read_text(encoding="utf-8")
    _css = (_FRONT / "browse.css").read_text(encoding="utf-8")

    def __init__(self, browsing: Browsing) -> None:
        super().__init__()
        self._browsing = browsing
        self.on_msg(self._answer)

    def _answer(self, _: Any, message: dict[str, Any], __: list[Any]) -> None:  # noqa: ANN401 -- ipywidgets is untyped
        for told, pictures in answer(self._browsing, message):
            self.send(told, pictures)
