"""The principal: who asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from pachon.core.errors import ForbiddenError


class Scope(StrEnum):
    """Custom scopes of JupyterHub tokens. Each is granted by a role in the hub's configuration."""

    QUERY = "custom:pachon:query"
    """Ask catalogues through the Web APIs in one's own name, and read one's own executions."""
    ADMIN = "custom:pachon:admin"
    """See the state and the totals of the whole platform."""
    ALL_QUERIES = "custom:pachon:queries:all"
    """Read everybody's executions, texts included. No role has it unless the hub's configuration grants it."""
    MOUNTS = "custom:pachon:mounts"
    """Ask which release folders a person's lab may see. For the hub alone, which says whose lab it is."""
    ALLOCATION = "custom:pachon:allocation"
    """Reserve a part of the share of user computing, and give it back. For the hub alone, when it starts a lab."""


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

    def as_far_as_scopes_reach(self) -> Principal:
        """The same person without groups, unless the credentials include `Scope.QUERY`.

        A token made to say who somebody is, as other services of the hub get one, must not open what that person's
        groups may read, names and columns of unpublished tables included.
        """
        return self if Scope.QUERY in self.scopes else replace(self, groups=frozenset())

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


class Principals(Protocol):
    """Knows whose a token is. `hub.HubPrincipals` asks JupyterHub."""

    async def resolve(self, token: str) -> Principal:
        """The person whose token this is, with the token's scopes.

        Raises
        ------
        AuthenticationError
            If the token is not valid (any more).
        UnavailableError
            If that cannot be found out now.
        """
        ...

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        """Exchange the code of a login in the browser for a token (OAuth 2, RFC 6749 section 4.1.3; RFC 7636).

        Raises
        ------
        AuthenticationError
            If the code is not valid (any more).
        UnavailableError
            If the hub does not answer, or does not know us.
        """
        ...
