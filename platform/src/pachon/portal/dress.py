"""How Panel's widgets look here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import panel as pn

from pachon.portal.turn import Later

FOLDER = Path(__file__).parent


@cache
def stylesheet() -> str:
    """The rules for widgets, which live in shadow roots and see only the page's custom properties."""
    return FOLDER.joinpath("static", "widgets.css").read_text(encoding="utf-8")


def button(
    name: str,
    press: Callable[[], None],
    *,
    turn: Later,
    kind: str = "default",
    classes: Sequence[str] = (),
    gap: int = 6,
    **options: Any,  # noqa: ANN401 -- Panel's own parameters
) -> pn.widgets.Button:
    """A button that calls `press` in the session's turn."""
    made = pn.widgets.Button(
        label=name, color=kind, css_classes=list(classes), stylesheets=[stylesheet()], margin=(0, gap), **options
    )

    made.on_click(lambda _: turn(press))
    return made
