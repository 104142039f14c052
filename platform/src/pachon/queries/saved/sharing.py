"""Who may see and change a query, and the tokens of links. Nothing here says anything of rights to data."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from enum import IntEnum

from pachon.identity.models import Principal
from pachon.queries.saved.models import Audience, SavedQuery, Share

_TOKEN_BYTES = 24


class Role(IntEnum):
    """What somebody may do with a query; each may all that the ones before may."""

    NONE = 0
    READER = 1
    EDITOR = 2
    OWNER = 3


def role_of(query: SavedQuery, principal: Principal, *, token: str, now: datetime) -> Role:
    """What this person may do with a query, or whoever brings the token of a link."""
    if principal.name and principal.name == query.owner:
        return Role.OWNER
    roles = [_granted(share, principal, token) for share in query.shares if share.counts(now)]
    return max(roles, default=Role.NONE)


def _granted(share: Share, principal: Principal, token: str) -> Role:
    is_theirs = {
        Audience.PERSON: bool(principal.name) and share.who == principal.name,
        Audience.GROUP: share.who in principal.groups,
        Audience.LINK: hmac.compare_digest(share.who, digest_of(token)),
        Audience.PUBLIC: True,
    }[share.audience]
    if not is_theirs:
        return Role.NONE
    return Role.EDITOR if share.may_edit and not principal.is_anonymous else Role.READER


def new_token() -> str:
    """A token for a link, told once and never kept."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def digest_of(token: str) -> str:
    """What is kept of a token: SHA-256, hexadecimal. Tokens are random, so a plain digest cannot be turned back."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
