"""Ways to make asynchronous TAP jobs and to see what becomes of them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from astropy.io.votable import parse
from lxml import etree

from support.app import AS_HOLDER, Site

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
FIVE = "SELECT TOP 5 id, ra, name FROM sky.stars ORDER BY id"


def make(site: Site, adql: str = FIVE, *, headers: dict[str, str] | None = AS_HOLDER, **more: str) -> str:
    """The path of a new job."""
    answer = site.client.post("/api/tap/async", data={"LANG": "ADQL", "QUERY": adql, **more}, headers=headers)
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    assert address.startswith(f"{site.url}/api/tap/async/")
    return str(address.removeprefix(site.url))


def post(site: Site, path: str, headers: dict[str, str] | None = AS_HOLDER, **data: str) -> httpx.Response:
    return site.client.post(path, data=data, headers=headers)


def get(site: Site, path: str, headers: dict[str, str] | None = AS_HOLDER, **params: object) -> httpx.Response:
    return site.client.get(path, headers=headers, params=params)


def told(answer: httpx.Response) -> etree._Element:
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)


def phase(site: Site, path: str, headers: dict[str, str] | None = AS_HOLDER) -> str:
    return get(site, f"{path}/phase", headers).text


def finished(site: Site, path: str, headers: dict[str, str] | None = AS_HOLDER) -> str:
    """The phase in which a job ends, by long polls."""
    deadline = time.monotonic() + 30
    while True:
        found = told(get(site, path, headers, WAIT=-1)).findtext(f"{UWS}phase")
        if found not in {"QUEUED", "EXECUTING"}:
            return str(found)
        assert time.monotonic() < deadline


def until(holds: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def message(answer: httpx.Response) -> str:
    (status,) = [info for info in parse(io.BytesIO(answer.content)).resources[0].infos if info.name == "QUERY_STATUS"]
    assert status.value == "ERROR"
    return str(status.content)


def files(site: Site, path: str) -> list[Path]:
    return list(site.services.settings.jobs_path.glob(f"{path.rpartition('/')[2]}.*"))
