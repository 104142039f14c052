"""The Web APIs of the platform, asked with the token of this lab."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as ET

import httpx

from pachon_lab.errors import LabError

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_MAX_CONNECTIONS, _MAX_STREAMS = 20, 100
_BAD_GATEWAY = 502

Params = list[tuple[str, str]]


class WebApi:
    """HTTP to the platform that this lab belongs to.

    Parameters
    ----------
    url
        Address of the Web APIs; empty if this lab belongs to none.
    token
        Token of the lab; empty asks anonymously.
    agent
        What the platform calls this program in the history of its person (`User-Agent`).
    """

    def __init__(self, url: str, token: str, *, agent: str) -> None:
        self.url = url.rstrip("/")
        headers = {"User-Agent": agent} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = _client(headers, _MAX_CONNECTIONS)
        self._streams = _client(headers, _MAX_STREAMS)

    async def json(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer of `<method> <url>/<path>`, a document of JSON."""
        response = await self._ask(method, path, params=params, json=body, headers=headers)
        try:
            document: dict[str, Any] = json.loads(response.content)
        except ValueError:
            raise LabError(f"The answer of {response.url} is no JSON.", status=_BAD_GATEWAY) from None
        return document

    async def post_form(self, path: str, form: Mapping[str, str]) -> None:
        """Send a form; an answer that leads elsewhere (UWS 1.1) has done its work."""
        await self._ask("POST", path, data=form)

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of `GET <url>/<path>` as it comes, by a connection that no other request waits for."""
        request = self._streams.build_request("GET", self._address(path), headers=dict(headers))
        response = await self._sent(self._streams, request, stream=True)
        try:
            if response.is_error:
                await response.aread()
                raise _refusal(response)
            yield response.aiter_bytes()
        finally:
            await response.aclose()

    async def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401 -- what httpx takes
        response = await self._sent(self._http, self._http.build_request(method, self._address(path), **given))
        if response.is_error:
            raise _refusal(response)
        return response

    async def _sent(self, client: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        try:
            return await client.send(request, stream=stream)
        except httpx.TimeoutException:
            raise LabError(f"{request.url} did not answer in time; try again.", status=_BAD_GATEWAY) from None
        except httpx.HTTPError as error:
            raise LabError(f"The platform at {self.url} cannot be reached: {error}.", status=_BAD_GATEWAY) from None

    def _address(self, path: str) -> str:
        if not self.url:
            raise LabError("This lab belongs to no platform: PACHON_API_URL is not set.", status=503)
        return f"{self.url}/{path}"


def _client(headers: Mapping[str, str], max_connections: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=headers, timeout=_TIMEOUT, limits=httpx.Limits(max_connections=max_connections))


def _refusal(response: httpx.Response) -> LabError:
    """What the platform says, in its own words."""
    status = _BAD_GATEWAY if response.is_server_error else response.status_code
    return LabError(_sentence(response) or f"{response.url} answered {response.status_code}.", status=status)


def _sentence(response: httpx.Response) -> str | None:
    """The platform's own sentence, from an error document of JSON or of VOTable (DALI 1.1, section 4.4)."""
    if "xml" in response.headers.get("Content-Type", ""):
        return _votable_sentence(response.content)
    try:
        message = json.loads(response.content)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return None
    return message if isinstance(message, str) else None


def _votable_sentence(body: bytes) -> str | None:
    try:
        root = ET.fromstring(body)  # noqa: S314 -- answered by the platform of this lab, expat bounds entities
    except ET.ParseError:
        return None
    told = (each.text for each in root.iter() if each.get("name") == "QUERY_STATUS")
    return (next(told, None) or "").strip() or None
