"""The hub's pages in the platform's look: where the templates lie and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pachon.app.settings import Settings
from pachon.hub.accounts import DEMO_AUTHENTICATOR

FOLDER = Path(__file__).with_name("templates")

OPEN_TO_ALL = "Open to all without logging in: the front page, world-public catalogues through TAP and cone search."
HOLDERS_ONLY = {
    "lab": f"JupyterLab is for data rights holders. {OPEN_TO_ALL}",
    "portal": f"The Portal is for data rights holders. {OPEN_TO_ALL}",
}


class _Group(Protocol):
    name: str


class _Person(Protocol):
    """The part of JupyterHub's user that pages ask about."""

    groups: list[_Group]


def variables(settings: Settings, *, note: str) -> dict[str, Any]:
    """Variables of every template; a function is called with the hub user, who may be None."""
    return {
        "is_holder": _holder_test(settings.rights.holder_groups),
        "holders_only": HOLDERS_ONLY,
        "isolation_note": note,
        "is_demo": settings.hub.authenticator_class == DEMO_AUTHENTICATOR,
    }


def _holder_test(holder_groups: frozenset[str]) -> Callable[[_Person | None], bool]:
    def is_holder(person: _Person | None) -> bool:
        return person is not None and any(group.name in holder_groups for group in person.groups)

    return is_holder
