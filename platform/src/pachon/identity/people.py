"""Whom the hub knows, so that a query is shared with somebody who exists."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from pydantic import SecretStr

_LOG = logging.getLogger(__name__)
_PAGE = 200
_MOST_PAGES = 100
_LISTED = "application/jupyterhub-pagination+json"


class HubPeople:
    """The names that the hub has seen or was told of. Blocking, and safe to use from many threads.

    Parameters
    ----------
    hub_api_url
        Base of the hub's REST API, without a trailing slash.
    api_token
        Token of the service `api`, whose role lets it list names (`list:users`); None if there is none.
    timeout_s
        How long the hub may take to answer.
    fresh_s
        How long a list is believed; a name that is not on it is looked for in a new one.
    monotonic
        Clock, seconds.
    """

    def __init__(
        self,
        hub_api_url: str,
        *,
        api_token: SecretStr | None,
        timeout_s: float = 5,
        fresh_s: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._token = f"{hub_api_url}/users", api_token
        self._fresh_s, self._monotonic = fresh_s, monotonic
        self._turn = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._asked_at = float("-inf")
        self._timeout_s = timeout_s

    def others(self, name: str) -> frozenset[str] | None:
        """The names that are known instead of one that is not; None if it is known, or the hub cannot tell."""
        if self._token is None:
            return None
        with self._turn:
            if name not in self._known and self._monotonic() - self._asked_at > self._fresh_s:
                self._known = self._listed() or frozenset()
                self._asked_at = self._monotonic()
            return self._known if self._known and name not in self._known else None

    def _listed(self) -> frozenset[str] | None:
        """All names; None if the hub does not tell them, or has too many."""
        found: set[str] = set()
        for page in range(_MOST_PAGES):
            answer = self._page(page * _PAGE)
            if answer is None:
                return None
            found.update(str(user["name"]) for user in answer["items"])
            if answer["_pagination"]["next"] is None:
                return frozenset(found)
        return None

    def _page(self, offset: int) -> dict[str, Any] | None:
        secret = self._token.get_secret_value() if self._token else ""
        headers = {"Authorization": f"Bearer {secret}", "Accept": _LISTED}
        try:
            params = {"offset": offset, "limit": _PAGE}
            answer = httpx.get(self._url, params=params, headers=headers, timeout=self._timeout_s, trust_env=False)
            answer.raise_for_status()
            page: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            _LOG.warning("The hub did not tell whom it knows: %s", error)
            return None
        return page if "items" in page and "_pagination" in page else None
