"""The hub's pages in the platform's look: where the templates lie and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pachon.app.settings import Settings
from pachon.hub.accounts import DEMO_AUTHENTICATOR
from pachon.hub.roles import QUERY_TOKEN_SCOPES

FOLDER = Path(__file__).with_name("templates")

OPEN_TO_ALL = "Open to all without logging in: the front page, world-public catalogues through TAP and cone search."
HOLDERS_ONLY = {
    "lab": f"JupyterLab is for data rights holders. {OPEN_TO_ALL}",
    "portal": f"The Portal is for data rights holders. {OPEN_TO_ALL}",
    "both": f"The Portal and JupyterLab are for data rights holders. {OPEN_TO_ALL}",
}


class _Group(Protocol):
    name: str


class _Person(Protocol):
    """The part of JupyterHub's user that pages ask about."""

    groups: list[_Group]


def variables(settings: Settings, *, note: str) -> dict[str, Any]:
    """Variables of every template. JupyterHub calls a function with its user, so a function is handed over in one."""
    holder_groups = settings.rights.holder_groups

    def is_holder(person: _Person) -> bool:
        return any(group.name in holder_groups for group in person.groups)

    return {
        "is_holder": _as_variable(is_holder),
        "refused_aspect": _as_variable(refused_aspect),
        "holders_only": HOLDERS_ONLY,
        "open_to_all": OPEN_TO_ALL,
        "isolation_note": note,
        "query_token_scopes": " ".join(QUERY_TOKEN_SCOPES),
        "public_url": settings.base_url,
        "is_demo": settings.hub.authenticator_class == DEMO_AUTHENTICATOR,
    }


def refused_aspect(message: str) -> str | None:
    """Which aspect a refusal of JupyterHub's was about, as a key of `HOLDERS_ONLY`; None if about another matter."""
    if "portal" in message:
        return "portal"
    if "servers" in message or "server at" in message.lower():
        return "lab"
    return None


def _as_variable(function: Callable[..., Any]) -> Callable[[object], Callable[..., Any]]:
    return lambda _person: function
