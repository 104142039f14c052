"""The principal: who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pachon.core.errors import ForbiddenError


class Scope(StrEnum):
    """Custom scopes of JupyterHub tokens. Each is granted by a role in the hub's configuration."""

    QUERY = "custom:pachon:query"
    """Ask catalogues through the Web APIs in one's own name, and read one's own executions."""
    ADMIN = "custom:pachon:admin"
    """See the state and the totals of the whole platform."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Parameters
    ----------
    name
        Hub user name; empty for an anonymous visitor.
    groups
        Hub groups; rights are mapped from these.
    scopes
        Scopes of the credentials in use, which may be fewer than the person's.
    """

    name: str = ""
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody has logged in."""
        return not self.name

    def require(self, scope: Scope) -> None:
        """Refuse credentials without a scope; anonymous visitors have none and are refused too.

        Raises
        ------
        ForbiddenError
            Naming the scope.
        """
        if scope not in self.scopes:
            message = f"This token lacks the scope '{scope}'. Request a token that includes it on the hub's Token page."
            raise ForbiddenError(message, scope=scope)


ANONYMOUS = Principal()
