"""Colours, fonts and marks that every page shares.

`tokens.css` holds the values (light and dark), `base.css` the components made of them, `logo.svg` the mark;
`horizon.svg`, `front.css` and `front.js` belong to the front page. The API serves them under `/api/brand/`.
"""

from __future__ import annotations

from pathlib import Path

from pachon.core.errors import NotFoundError

FILES = ("tokens.css", "base.css", "front.css", "front.js", "logo.svg", "horizon.svg")


def path(name: str) -> Path:
    """Where a brand file lies.

    Raises
    ------
    NotFoundError
        If it is none of `FILES`; nothing else in the folder is handed out.
    """
    if name not in FILES:
        raise NotFoundError(f"There is no brand file '{name}'; there are {', '.join(FILES)}.")
    return Path(__file__).with_name(name)
