"""Asks the Web APIs, which keep the ledger, for a part of the share before a lab starts, and gives it back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from pachon.core.errors import QuotaError, UnavailableError
from pachon.core.resources import Resources

_BASE = "/allocation"
_AWAY = "What labs may use is not known now, because the Web APIs do not answer; start your lab again in a minute."


@dataclass(frozen=True, slots=True, kw_only=True)
class PodClaim:
    """A pod that is to be created, or was: its name, whose it is, whom it is charged to, and what it takes."""

    namespace: str
    pod: str
    owner: str
    groups: tuple[str, ...]
    server: str
    pool: str
    size: Resources

    def to_json(self) -> dict[str, Any]:
        """As the Web APIs want it."""
        return {
            "namespace": self.namespace,
            "pod": self.pod,
            "owner": self.owner,
            "groups": list(self.groups),
            "server": self.server,
            "pool": self.pool,
            "cpu_millicores": self.size.cpu_millicores,
            "memory_bytes": self.size.memory_bytes,
        }


class Reservations:
    """The hub's side of the ledger. Whatever is not a clear yes is a no: nothing starts on a guess.

    Parameters
    ----------
    api_url
        Base of the Web APIs, without a trailing slash.
    token
        Of the hub's service `labs`.
    timeout_s
        How long an answer may take, seconds.
    """

    def __init__(self, api_url: str, token: str, *, timeout_s: float = 10.0) -> None:
        self._url = api_url + _BASE
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s

    async def reserve(self, claim: PodClaim) -> str:
        """Reserve; returns the id of the reservation.

        Raises
        ------
        QuotaError
            If there is no room: which limit, and what helps.
        UnavailableError
            If the ledger does not answer, or not with a reservation.
        """
        answer = await self._send("POST", "/reservations", claim.to_json())
        try:
            return str(answer.json()["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(_AWAY) from error

    async def confirm(self, reservation_id: str, claim: PodClaim, uid: str) -> None:
        """Tell that the pod was created.

        Raises
        ------
        QuotaError
            If there is no room for it any more: it must go.
        UnavailableError
            If the ledger does not answer. It sees the pod by itself.
        """
        await self._send("POST", f"/reservations/{reservation_id}/confirm", {**claim.to_json(), "uid": uid})

    async def cancel(self, reservation_id: str) -> None:
        """Tell that no pod was created.

        Raises
        ------
        UnavailableError
            If the ledger does not answer. It forgets the reservation by itself.
        """
        await self._send("DELETE", f"/reservations/{reservation_id}")

    async def release(self, namespace: str, pod: str, uid: str) -> None:
        """Tell that a pod is gone.

        Raises
        ------
        UnavailableError
            If the ledger does not answer. It sees that by itself.
        """
        await self._send("DELETE", f"/pods/{namespace}/{pod}", query={"uid": uid})

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=self._timeout_s) as client:
                answer = await client.request(method, self._url + path, json=body, params=query, headers=self._headers)
        except httpx.HTTPError as error:
            raise UnavailableError(_AWAY) from error
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise QuotaError(_told(answer))
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise UnavailableError(_told(answer))
        try:
            return answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise UnavailableError(_AWAY) from error


def _told(answer: httpx.Response) -> str:
    """The sentence of a refusal."""
    try:
        return str(answer.json()["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return _AWAY
