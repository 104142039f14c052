"""Login in the browser: OAuth 2 authorization code flow against the hub, with PKCE (S256) and state."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from pydantic import SecretStr

from pachon.core.errors import ForbiddenError, UnavailableError, UsageError
from pachon.identity import cookies
from pachon.identity.models import Principals

CLIENT_ID = "service-api"
_MAX_NEXT_CHARS = 4000


class Secrets(Protocol):
    """The two secrets that a login needs."""

    @property
    def api_token(self) -> SecretStr | None:
        """Token of the service `api`: the client's secret."""
        ...

    @property
    def cookie_secret(self) -> SecretStr | None:
        """Key that seals cookies."""
        ...


class LoginSettings(Protocol):
    """What this module needs of the settings."""

    @property
    def base_url(self) -> str:
        """Public address of the platform, without a trailing slash."""
        ...

    @property
    def identity(self) -> Secrets:
        """The secrets."""
        ...


@dataclass(frozen=True, slots=True)
class Departure:
    """The first half of a login: where to send the browser, and the cookie that waits for its return."""

    address: str
    cookie_name: str
    cookie_value: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """The second half of a login: where the person wanted to go, the login cookie, and the cookie that waited."""

    address: str
    cookie_value: str
    waiting_cookie_name: str


def cookie_secret(settings: LoginSettings) -> str:
    """The key that seals cookies.

    Raises
    ------
    UnavailableError
        If this installation has none, so that nobody can log in with a browser.
    """
    if settings.identity.cookie_secret is None or settings.identity.api_token is None:
        raise UnavailableError("Logging in with a browser is not set up on this server; send a token instead.")
    return settings.identity.cookie_secret.get_secret_value()


def depart(settings: LoginSettings, next_path: str) -> Departure:
    """Begin a login that ends at a path of this platform.

    Raises
    ------
    UsageError
        If `next_path` is not a local path.
    """
    check_local_path(next_path)
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": redirect_uri(settings),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    sealed = _dance_seal(settings).close({"state": state, "verifier": verifier, "next": next_path})
    address = f"{settings.base_url}/hub/api/oauth2/authorize?{urlencode(parameters)}"
    return Departure(address, _waiting_cookie_name(state), sealed)


async def arrive(
    settings: LoginSettings, principals: Principals, *, code: str, state: str, request_cookies: Mapping[str, str]
) -> Arrival:
    """Finish a login with the code and state that the hub sent.

    Raises
    ------
    ForbiddenError
        If this browser did not begin this login in the last ten minutes.
    """
    name = _waiting_cookie_name(state)
    sealed = request_cookies.get(name, "")
    waiting = _dance_seal(settings).open(sealed, max_age_s=cookies.DANCE_MAX_AGE_S) or {}
    if not waiting or not secrets.compare_digest(waiting["state"].encode(), state.encode()):
        message = (
            "This login was not begun in this browser, or more than ten minutes ago. "
            f"Begin again at {settings.base_url}/api/login"
        )
        raise ForbiddenError(message)
    token = await principals.redeem(code, verifier=waiting["verifier"], redirect_uri=redirect_uri(settings))
    return Arrival(settings.base_url + waiting["next"], login_seal(settings).close({"token": token}), name)


def login_seal(settings: LoginSettings) -> cookies.Seal:
    """The seal of the login cookie."""
    return cookies.seal(cookie_secret(settings), purpose="login")


def _dance_seal(settings: LoginSettings) -> cookies.Seal:
    return cookies.seal(cookie_secret(settings), purpose="dance")


def redirect_uri(settings: LoginSettings) -> str:
    """Where the hub sends the browser after a login."""
    return f"{settings.base_url}/api/oauth_callback"


def check_local_path(path: str) -> None:
    """Refuse a `next` that is not a path of this platform, so that a login never leads to another site.

    Raises
    ------
    UsageError
        If it does not begin with exactly one slash, or holds a backslash, space or control character.
    """
    is_local = path.startswith("/") and not path.startswith("//") and len(path) <= _MAX_NEXT_CHARS
    if not is_local or not all("!" <= character <= "~" and character != "\\" for character in path):
        message = "'next' must be a local path such as /portal/ : one leading slash, percent-encoded, no host."
        raise UsageError(message, parameter="next")


def _waiting_cookie_name(state: str) -> str:
    """One cookie for each login under way: several tabs may log in at once."""
    return f"{cookies.LOGIN_COOKIE}-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
