"""A person's lab, from the login form to the end of its last process, over the one address people use."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from support.labs import hub_client, start_lab, stop_lab
from support.stack import Platform

pytestmark = [pytest.mark.stack, pytest.mark.catalogues, pytest.mark.timeout(600)]

PERSON = "novice"
FIRST = "01-first-light.ipynb"
"""Runs in `tests/browser/test_lab.py`, where its figures are looked at."""
TOLD = {
    "02-share-a-query.ipynb": "There is no query",
    "03-crossmatch-your-own-table.ipynb": "not in Hipparcos: Teegarden's star",
    "04-from-selection-to-sample.ipynb": "cite as",
}
"""What each other tutorial prints where it comes to the point."""
CELL_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def platform(real_platform: Platform) -> Platform:
    return real_platform


@pytest.fixture
def with_tycho2(platform: Platform) -> None:
    """Tycho-2 cannot be had everywhere; the suite says so."""
    released = httpx.get(f"{platform.base_url}/api/releases", trust_env=False).raise_for_status().json()["releases"]
    if "tycho2" not in {release["id"] for release in released}:
        pytest.skip("the catalogue Tycho-2 is missing: no Debian archive was reached")


@pytest.mark.usefixtures("with_tycho2")
def test_the_tutorials_run_in_a_lab_that_the_hub_started_and_then_stops(platform: Platform) -> None:
    with hub_client(platform, PERSON) as hub:
        start_lab(hub, PERSON)
        lab = f"/user/{PERSON}/api"
        listed = hub.get(f"{lab}/contents/tutorials").raise_for_status().json()["content"]
        assert sorted(entry["name"] for entry in listed if entry["type"] == "notebook") == [FIRST, *TOLD]
        kernel = hub.post(f"{lab}/kernels", json={"name": "python3", "path": "tutorials/any.ipynb"}).raise_for_status()
        with open_channels(platform, hub, f"{lab}/kernels/{kernel.json()['id']}/channels") as channels:
            for name, told in TOLD.items():
                notebook = hub.get(f"{lab}/contents/tutorials/{name}").raise_for_status().json()["content"]
                assert told in "".join(run(channels, notebook)), name
        stop_lab(hub, PERSON)
        assert hub.get(f"{lab}/status").status_code != httpx.codes.OK


def run(channels: ClientConnection, notebook: dict[str, Any]) -> Iterator[str]:
    """Run all cells with nothing left of what ran before but imported modules; what they print."""
    yield execute(channels, "%reset -f")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield execute(channels, cell["source"])


@contextmanager
def open_channels(platform: Platform, hub: httpx.Client, path: str) -> Iterator[ClientConnection]:
    """The websocket of a kernel, through the proxy."""
    address = platform.base_url.replace("http://", "ws://") + path
    headers = {"Authorization": hub.headers["Authorization"]}
    with connect(address, additional_headers=headers, max_size=None, proxy=None) as channels:
        yield channels


def execute(channels: ClientConnection, source: str) -> str:
    """Run one cell and wait until the kernel is idle; what it printed. An error of the cell fails the test."""
    request = uuid.uuid4().hex
    header = {
        "msg_id": request,
        "msg_type": "execute_request",
        "username": PERSON,
        "session": request,
        "version": "5.3",
    }
    content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    channels.send(
        json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
    )
    printed = []
    while True:
        message = json.loads(channels.recv(timeout=CELL_TIMEOUT_S))
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", f"{content['ename']}: {content['evalue']}\nin the cell\n{source}"
        if kind == "stream":
            printed.append(content["text"])
        if kind == "status" and content["execution_state"] == "idle":
            return "".join(printed)
