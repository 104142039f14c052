"""A stand-in for JupyterHub that speaks `GET /hub/api/user`, `/hub/api/users` and `POST /hub/api/oauth2/token`.

It speaks real HTTP, and can be slow, broken or away, which a real hub cannot on demand.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class HubDouble:
    """What the hub knows; tests change it while it runs."""

    url: str = ""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    """User model by token."""
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Token and PKCE challenge by authorization code."""
    client_secret: str = "api-secret"
    delay_s: float = 0.0
    broken_with: Response | None = None
    asked: int = 0

    def know(self, token: str, name: str, *, groups: tuple[str, ...] = (), scopes: tuple[str, ...] = ()) -> None:
        self.users[token] = {
            "kind": "user",
            "name": name,
            "groups": list(groups),
            "scopes": list(scopes),
            "admin": False,
        }

    async def user(self, request: Request) -> Response:
        self.asked += 1
        await anyio.sleep(self.delay_s)
        if self.broken_with is not None:
            return self.broken_with
        model = self.users.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return JSONResponse(model) if model else JSONResponse({"status": 403, "message": "Forbidden"}, 403)

    async def listed(self, request: Request) -> Response:
        if self.broken_with is not None:
            return self.broken_with
        if request.headers.get("Authorization") != f"Bearer {self.client_secret}":
            return JSONResponse({"status": 403, "message": "Forbidden"}, 403)
        names = sorted({model["name"] for model in self.users.values()})
        first, size = (int(request.query_params[name]) for name in ("offset", "limit"))
        page = [{"kind": "user", "name": name} for name in names[first : first + size]]
        following = {"offset": first + size} if first + size < len(names) else None
        return JSONResponse({"items": page, "_pagination": {"offset": first, "limit": size, "next": following}})

    async def token(self, request: Request) -> Response:
        form = await request.form()
        if form["client_id"] != "service-api" or form["client_secret"] != self.client_secret:
            return JSONResponse({"error": "invalid_client"}, 401)
        token, challenge = self.codes.pop(str(form["code"]), ("", ""))
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if not token or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 3600})


@contextmanager
def running_hub() -> Iterator[HubDouble]:
    """The double on a free port, in a thread of this process."""
    hub = HubDouble()
    routes = [
        Route("/hub/api/", lambda _: JSONResponse({"version": "6.1.1"})),
        Route("/hub/api/user", hub.user),
        Route("/hub/api/users", hub.listed),
        Route("/hub/api/oauth2/token", hub.token, methods=["POST"]),
    ]
    with serving(Starlette(routes=routes)) as url:
        hub.url = f"{url}/hub/api"
        yield hub


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """An ASGI application on a free port of 127.0.0.1; yields its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
