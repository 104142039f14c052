"""The hub's pages in the platform's look: where the templates lie and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pachon.app.settings import Settings
from pachon.core import clock
from pachon.hub.accounts import DEMO_AUTHENTICATOR
from pachon.hub.roles import QUERY_TOKEN_SCOPES
from pachon.identity.models import Principal
from pachon.rights.models import Access
from pachon.rights.policy import OPEN_TO_ALL, holders_only

FOLDER = Path(__file__).with_name("templates")

_ASPECTS = {"portal": (Access.PORTAL,), "lab": (Access.SPAWN,), "both": (Access.PORTAL, Access.SPAWN)}
HOLDERS_ONLY = {aspect: holders_only(*accesses) for aspect, accesses in _ASPECTS.items()}


class _Group(Protocol):
    name: str


class _Person(Protocol):
    """The part of JupyterHub's user that pages ask about."""

    name: str
    groups: list[_Group]


def variables(settings: Settings, *, note: str) -> dict[str, Any]:
    """Variables of every template. JupyterHub calls a function with its user, so a function is handed over in one."""
    policy = settings.rights.policy()

    def refused_to(person: _Person) -> str | None:
        """Which of the aspects are not for a person, as a key of `HOLDERS_ONLY`; None if all are."""
        principal = Principal(person.name, frozenset(group.name for group in person.groups))
        refused = [
            aspect
            for aspect in ("portal", "lab")
            if not policy.decide(principal, *_ASPECTS[aspect], at=clock.now()).allowed
        ]
        return "both" if len(refused) == len(_ASPECTS["both"]) else next(iter(refused), None)

    return {
        "refused_to": _as_variable(refused_to),
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
