"""Labs of a running platform, started and ended through the hub as a person's script does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from support.stack import Platform

SPAWN_TIMEOUT_S = 120


@contextmanager
def hub_client(platform: Platform, name: str) -> Iterator[httpx.Client]:
    """A client with a token that its owner made on the hub's token page."""
    with platform.person(name) as browser:
        xsrf = next(c.value for c in browser.cookies.jar if c.name == "_xsrf" and c.path == "/hub/")
        made = browser.post(
            f"/hub/api/users/{name}/tokens",
            json={"note": "end-to-end test"},
            headers={"X-XSRFToken": xsrf, "Referer": f"{platform.base_url}/hub/token"},
        ).raise_for_status()
    headers = {"Authorization": f"token {made.json()['token']}"}
    with httpx.Client(base_url=platform.base_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def start_lab(hub: httpx.Client, name: str) -> None:
    """Ask the hub for somebody's lab and wait until it is ready."""
    hub.post(f"/hub/api/users/{name}/server").raise_for_status()
    _wait_for(hub, name, lambda servers: servers.get("", {}).get("ready", False))


def stop_lab(hub: httpx.Client, name: str) -> None:
    """End somebody's lab and wait until it is gone."""
    hub.delete(f"/hub/api/users/{name}/server").raise_for_status()
    _wait_for(hub, name, lambda servers: servers == {})


def _wait_for(hub: httpx.Client, name: str, is_done: Callable[[Any], bool]) -> None:
    deadline = time.monotonic() + SPAWN_TIMEOUT_S
    while not is_done(servers := hub.get(f"/hub/api/users/{name}").raise_for_status().json()["servers"]):
        assert time.monotonic() < deadline, servers
        time.sleep(0.3)
