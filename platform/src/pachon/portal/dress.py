"""How Panel's widgets look here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import panel as pn

FOLDER = Path(__file__).parent


@cache
def stylesheet() -> str:
    """The rules for widgets, which live in shadow roots and see only the page's custom properties."""
    return FOLDER.joinpath("static", "widgets.css").read_text(encoding="utf-8")


def button(
    name: str,
    press: Callable[[], object],
    *,
    kind: str = "default",
    classes: Sequence[str] = (),
    gap: int = 6,
    **options: Any,  # noqa: ANN401 -- Panel's own parameters
) -> pn.widgets.Button:
    """A button that calls `press`."""
    made = pn.widgets.Button(
        name=name, button_type=kind, css_classes=list(classes), stylesheets=[stylesheet()], margin=(0, gap), **options
    )

    def pressed(_: object) -> None:
        press()

    made.on_click(pressed)
    return made
