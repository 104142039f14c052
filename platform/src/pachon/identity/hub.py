"""Asks JupyterHub whose a token is, and believes the answer for a short time.

Only tokens come here; passwords stay with the hub. Nothing is decided without an answer of the hub that is at most
`cache_s` old: a revoked token stops working within that time, and while the hub is away requests with credentials
fail (503), never pass.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel, Field, SecretStr, ValidationError

from pachon.core.errors import AuthenticationError, UnavailableError
from pachon.identity.login import CLIENT_ID
from pachon.identity.models import Principal

_LOG = logging.getLogger(__name__)
_REFUSAL_CACHE_S = 5.0
_CACHE_SIZE = 10_000
_HUB_CONNECTIONS = 16
_INVALID = "The token is not valid (any more); make a new one on the hub's Token page."
_STALE_CODE = "The hub did not accept this login, which may have taken too long; log in again."
_Value = TypeVar("_Value")
_Model = TypeVar("_Model", bound=BaseModel)


class _HubUser(BaseModel):
    """The parts of the hub's user model that say who it is (JupyterHub REST API, `GET /user`)."""

    kind: str
    name: str = Field(min_length=1)
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def to_principal(self) -> Principal:
        """A prefix tells a service from a person of the same name."""
        name = self.name if self.kind == "user" else f"{self.kind}:{self.name}"
        return Principal(name=name, groups=self.groups, scopes=self.scopes)


class _HubGrant(BaseModel):
    """The answer to a redeemed code (RFC 6749, section 5.1)."""

    access_token: str = Field(min_length=1)


class _Cache(Generic[_Value]):
    """Values for a time, the oldest dropped when there are too many."""

    def __init__(self, *, lifetime_s: float, monotonic: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._monotonic = monotonic
        self._entries: OrderedDict[bytes, tuple[float, _Value]] = OrderedDict()

    def get(self, key: bytes) -> _Value | None:
        """The value, if it is younger than the lifetime."""
        made_at, value = self._entries.get(key, (float("-inf"), None))
        return value if self._monotonic() - made_at < self._lifetime_s else None

    def put(self, key: bytes, value: _Value, *, asked_at: float) -> None:
        """Keep a value; its age counts from when it was asked for."""
        self._entries.pop(key, None)
        self._entries[key] = (asked_at, value)
        if len(self._entries) > _CACHE_SIZE:
            self._entries.popitem(last=False)


class HubPrincipals:
    """Keeps the promise of `identity.models.Principals` with a hub. For one event loop; close it there.

    Parameters
    ----------
    hub_api_url
        Base of the hub's REST API, without a trailing slash.
    api_token
        Token of the service `api`, which is also its OAuth client secret; None if nobody logs in with a browser.
    cache_s
        How long an answer is believed, at most; refusals are believed for at most 5 s.
    timeout_s
        How long the hub may take to answer.
    monotonic
        Clock of the caches, seconds.
    """

    def __init__(
        self,
        hub_api_url: str,
        *,
        api_token: SecretStr | None = None,
        cache_s: float = 30,
        timeout_s: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = hub_api_url
        self._api_token = api_token
        self._monotonic = monotonic
        self._timeout_s = timeout_s
        self._known: _Cache[Principal] = _Cache(lifetime_s=cache_s, monotonic=monotonic)
        self._refused: _Cache[bool] = _Cache(lifetime_s=min(cache_s, _REFUSAL_CACHE_S), monotonic=monotonic)
        self._asking: dict[bytes, asyncio.Task[Principal]] = {}
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            trust_env=False,
            limits=httpx.Limits(max_connections=_HUB_CONNECTIONS, max_keepalive_connections=_HUB_CONNECTIONS),
        )

    async def resolve(self, token: str) -> Principal:
        """The person whose token this is; many requests at once with one token ask the hub once."""
        key = hashlib.sha256(token.encode()).digest()
        if principal := self._known.get(key):
            return principal
        if self._refused.get(key):
            raise AuthenticationError(_INVALID)
        if (asking := self._asking.get(key)) is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, token))
            asking.add_done_callback(lambda task: self._answered(key, task))
        return await asyncio.shield(asking)

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        """Exchange the code of a login in the browser for a token."""
        if self._api_token is None:
            raise UnavailableError("Logging in with a browser is not set up on this server; send a token instead.")
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "client_secret": self._api_token.get_secret_value(),
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        response = await self._send("POST", "/oauth2/token", data=form)
        if response.status_code == httpx.codes.BAD_REQUEST:
            raise AuthenticationError(_STALE_CODE)
        return self._read(response, _HubGrant).access_token

    async def is_up(self) -> bool:
        """Whether the hub answers at all (for the status document)."""
        try:
            return (await self._send("GET", "/")).is_success
        except UnavailableError:
            return False

    async def aclose(self) -> None:
        """Close the connections to the hub."""
        await self._client.aclose()

    async def _ask(self, key: bytes, token: str) -> Principal:
        asked_at = self._monotonic()
        response = await self._send("GET", "/user", headers={"Authorization": f"Bearer {token}"})
        if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}:
            self._refused.put(key, True, asked_at=asked_at)  # noqa: FBT003 -- the value kept, not a switch
            raise AuthenticationError(_INVALID)
        principal = self._read(response, _HubUser).to_principal()
        self._known.put(key, principal, asked_at=asked_at)
        return principal

    def _answered(self, key: bytes, task: asyncio.Task[Principal]) -> None:
        """Forget the question; look at its error, which nobody may be waiting for any more."""
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def _send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, data: dict[str, str] | None = None
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._client.request(method, self._url + path, headers=headers, data=data)
        except (httpx.HTTPError, TimeoutError) as error:
            _LOG.warning("The hub did not answer %s %s: %r", method, path, error)
            raise UnavailableError(_AWAY) from error

    @staticmethod
    def _read(response: httpx.Response, model: type[_Model]) -> _Model:
        try:
            response.raise_for_status()
            return model.model_validate_json(response.content)
        except (httpx.HTTPStatusError, ValidationError) as error:
            _LOG.warning("The hub answered %s with status %d", response.request.url, response.status_code)
            raise UnavailableError(_AWAY, retry_after_s=_retry_after_s(response)) from error


_AWAY = "The hub, which knows who you are, is not answering; anonymous requests still work. Try again in a few seconds."


def _retry_after_s(response: httpx.Response) -> int:
    """What the hub says, between 1 and 60 seconds; 5 if it says nothing."""
    said = response.headers.get("Retry-After", "")
    return min(max(int(said), 1), 60) if said.isdecimal() else 5
