"""Tiles, executions and events over HTTP."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

import httpx
import numpy as np
import pytest

from pachon.identity.models import Principal, Scope
from pachon.queries.tiles import TileService
from support.app import AS_ADMIN, AS_AUDITOR, AS_HOLDER, AS_NO_SCOPE, AS_VISITOR, Site, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def ask(site: Site, adql: str, headers: dict[str, str]) -> None:
    query = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "csv"}
    site.client.get("/api/tap/sync", params=query, headers=headers).raise_for_status()


def executions(site: Site, headers: dict[str, str], **query: object) -> httpx.Response:
    return site.client.get("/api/queries/executions", params=query, headers=headers)


def listed_within(site: Site, adql: str, *, seconds: float) -> bool:
    """A run is recorded once its answer has been delivered, so the list may lag the answer by a moment."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if adql in [run["query"] for run in executions(site, AS_HOLDER).json()["executions"]]:
            return True
        time.sleep(0.02)
    return False


def test_the_tiles_of_the_whole_sky_count_every_row_once(site: Site) -> None:
    answers = [site.client.get("/api/tiles/sky.stars", params={"order": 0, "pixel": pixel}) for pixel in range(12)]
    counts = [np.load(io.BytesIO(answer.raise_for_status().content), allow_pickle=False) for answer in answers]
    assert {count.shape for count in counts} == {(65_536,)}
    assert sum(int(count.sum()) for count in counts) == site.stars.num_rows


def test_a_tile_that_is_known_is_not_sent_again(site: Site) -> None:
    first = site.client.get("/api/tiles/sky.stars", params={"order": 1, "pixel": 3})
    again = site.client.get(
        "/api/tiles/sky.stars", params={"order": 1, "pixel": 3}, headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"order": "deep", "pixel": 0}, 400, "order must be a whole number"),
        ({"order": 0, "pixel": 12}, 400, "pixel"),
        ({"order": -1, "pixel": 0}, 400, "order"),
        ({"order": 99, "pixel": 0}, 400, "order"),
        ({"order": "9" * 5_000, "pixel": 0}, 400, f"not '{'9' * 60}...'"),
    ],
)
def test_a_wrong_tile_is_explained(site: Site, query: dict[str, object], status: int, words: str) -> None:
    answer = site.client.get("/api/tiles/sky.stars", params=query)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


@contextmanager
def slow_tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[TileWork]:
    """Tiles are counted only once the test says so."""
    work = TileWork()
    monkeypatch.setattr(TileService, "counts", work.count)
    try:
        yield work
    finally:
        work.may_end.set()


class TileWork:
    """Who counts a tile now, the most at once, and in which order people got theirs."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.now = self.most = 0
        self.order: list[str] = []
        self._lock = threading.Lock()

    def count(self, principal: Principal, *_: object) -> np.ndarray:
        with self._lock:
            self.order.append(principal.name)
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.may_end.wait(60)
        with self._lock:
            self.now -= 1
        return np.zeros(65_536, np.uint8)


def waiting_tiles(site: Site) -> int:
    return sum(map(len, site.services.tile_admission._queues.values()))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask_tiles(
    site: Site, threads: ThreadPoolExecutor, count: int, headers: dict[str, str]
) -> list[Future[httpx.Response]]:
    path = "/api/tiles/sky.stars"
    return [
        threads.submit(site.client.get, path, params={"order": 2, "pixel": pixel}, headers=headers)
        for pixel in range(count)
    ]


def test_few_tiles_are_counted_at_once_and_nobody_else_waits_for_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = site.services.settings.queries.tiles_at_once
    with ThreadPoolExecutor(60) as threads, slow_tiles(monkeypatch) as work:
        asked = ask_tiles(site, threads, 60, {})
        until(lambda: (work.now, waiting_tiles(site)) == (at_once, 60 - at_once))
        site.client.get("/api/releases").raise_for_status()
        assert work.now == at_once
        work.may_end.set()
        assert {answer.result().status_code for answer in asked} == {200}
    assert work.most == at_once


def test_a_flood_of_tiles_is_sent_away_by_its_own_limit_and_a_persons_map_comes_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    admission, at_once = site.services.tile_admission, site.services.settings.queries.tiles_at_once
    monkeypatch.setattr(admission, "_limits", replace(admission._limits, waiting_per_person=20))
    with ThreadPoolExecutor(60) as threads, slow_tiles(monkeypatch) as work:
        flood = ask_tiles(site, threads, 40, {})
        until(lambda: sum(asked.done() for asked in flood) == 20 - at_once and waiting_tiles(site) == 20)
        person = ask_tiles(site, threads, 4, AS_HOLDER)
        until(lambda: waiting_tiles(site) == 24)
        work.may_end.set()
        assert {asked.result().status_code for asked in person} == {200}
        answers = [asked.result() for asked in flood]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 20 - at_once
    assert "Your address has 20 density tiles waiting already" in refused[0].json()["error"]["message"]
    assert int(refused[0].headers["Retry-After"]) > 0
    assert max(place for place, name in enumerate(work.order) if name == "novice") < 15


def test_tiles_of_a_closed_release_do_not_exist_for_others(site: Site) -> None:
    query = {"order": 0, "pixel": 0}
    closed = site.client.get("/api/tiles/future.stars", params=query, headers=AS_VISITOR)
    absent = site.client.get("/api/tiles/future2.stars", params=query, headers=AS_VISITOR)
    holder = site.client.get("/api/tiles/future.stars", params=query, headers=AS_HOLDER)
    assert (closed.status_code, absent.status_code, holder.status_code) == (404, 404, 200)
    messages = [answer.json()["error"]["message"] for answer in (closed, absent)]
    assert messages[0] == messages[1].replace("future2", "future")


def test_a_person_finds_their_own_runs_only(site: Site) -> None:
    ask(site, "SELECT TOP 1 id FROM sky.stars", AS_HOLDER)
    ask(site, "SELECT TOP 2 id FROM sky.stars", AS_VISITOR)
    assert listed_within(site, "SELECT TOP 1 id FROM sky.stars", seconds=2)
    assert not listed_within(site, "SELECT TOP 2 id FROM sky.stars", seconds=0.2)


def test_runs_are_listed_page_by_page(site: Site) -> None:
    for number in (11, 12, 13):
        ask(site, f"SELECT TOP {number} id FROM sky.stars", AS_HOLDER)
    assert listed_within(site, "SELECT TOP 13 id FROM sky.stars", seconds=2)
    first = executions(site, AS_HOLDER, limit=2).json()
    second = executions(site, AS_HOLDER, limit=2, before=first["next_before"]).json()
    ids = [run["id"] for page in (first, second) for run in page["executions"]]
    assert ids == sorted(set(ids), reverse=True)


def test_who_asks_for_runs_must_be_known_and_hold_the_scope(site: Site) -> None:
    anonymous, without = executions(site, {}), executions(site, AS_NO_SCOPE)
    assert (anonymous.status_code, without.status_code) == (401, 403)
    assert "custom:pachon:query" in without.json()["error"]["message"]
    assert executions(site, AS_HOLDER, limit=0).status_code == 400


def test_totals_are_for_administrators_and_texts_of_others_for_whom_they_are_granted(site: Site) -> None:
    secret = "SELECT TOP 23 id FROM sky.stars"
    ask(site, secret, AS_HOLDER)
    assert listed_within(site, secret, seconds=2)
    answers = [site.client.get("/api/queries/totals", headers=who) for who in ({}, AS_HOLDER, AS_AUDITOR, AS_ADMIN)]
    assert [each.status_code for each in answers] == [401, 403, 403, 200]
    assert all("administrators only" in each.json()["error"]["message"] for each in answers[:3])
    kinds = answers[3].json()["totals"]
    assert sum(each["row_count"] for each in kinds if each["time_class"] == "short") >= 23
    assert {(each["protocol"], each["phase"]) for each in kinds} >= {("tap/sync", "COMPLETED")}
    assert not any(word in answers[3].text for word in ("novice", "SELECT", "sky"))
    assert site.client.get("/api/queries/totals?days=0", headers=AS_ADMIN).status_code == 400
    others = [executions(site, who, owner="novice") for who in (AS_VISITOR, AS_ADMIN, AS_AUDITOR)]
    assert [each.status_code for each in others] == [403, 403, 200]
    assert "only to those administrators whom" in others[0].json()["error"]["message"]
    assert secret in others[2].text


def listening(site: Site, headers: dict[str, str] = AS_HOLDER) -> AbstractContextManager[httpx.Response]:
    return httpx.stream("GET", f"{site.url}/api/queries/events", headers=headers, timeout=30, trust_env=False)


def test_the_end_of_a_run_is_told_within_a_second(site: Site) -> None:
    adql = "SELECT TOP 21 id FROM sky.stars"
    seconds = []
    with listening(site) as events:
        lines = events.iter_lines()
        assert next(lines) == ": connected"
        for _ in range(4):
            ask(site, adql, AS_VISITOR)
            ask(site, adql, AS_HOLDER)
            asked_at = time.monotonic()
            data = next(line for line in lines if line.startswith("data: "))
            seconds.append(time.monotonic() - asked_at)
            told = json.loads(data.removeprefix("data: "))
            assert told["id"] == executions(site, AS_HOLDER, limit=1).json()["executions"][0]["id"]
    assert min(seconds) < 1, "on a loaded machine one of four must be in time"


def test_who_comes_back_with_an_id_of_the_future_hears_what_happens_from_now_on(site: Site) -> None:
    with listening(site, {**AS_HOLDER, "Last-Event-ID": "9" * 30}) as events:
        lines = events.iter_lines()
        assert next(lines) == ": connected"
        ask(site, "SELECT TOP 22 id FROM sky.stars", AS_HOLDER)
        assert "data: " in next(line for line in lines if line.startswith(("data: ", ": still here")))


def test_a_person_keeps_so_many_streams_open_and_may_open_another_when_one_is_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.services.listeners, "_most", 2)
    address = f"{site.url}/api/queries/events"

    def opened(stack: ExitStack, headers: dict[str, str]) -> httpx.Response:
        return stack.enter_context(httpx.stream("GET", address, headers=headers, timeout=5, trust_env=False))

    with ExitStack() as stack:
        for _ in range(2):
            assert opened(stack, AS_HOLDER).status_code == 200
        refused = opened(stack, AS_HOLDER)
        refused.read()
        assert refused.status_code == 503
        assert "2 streams of events open, as many as one person may" in refused.json()["error"]["message"]
        assert opened(stack, AS_VISITOR).status_code == 200
    deadline = time.monotonic() + 5
    status = 503
    while status == 503 and time.monotonic() < deadline:
        with ExitStack() as stack:
            status = opened(stack, AS_HOLDER).status_code
    assert status == 200


def test_a_revoked_token_ends_its_stream(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pachon.queries.handlers._HEARTBEAT_S", 0.1)
    site.hub.know("token-to-revoke", "novice", groups=("rights-holders",), scopes=(Scope.QUERY,))
    headers = {"Authorization": "Bearer token-to-revoke"}
    with httpx.stream("GET", f"{site.url}/api/queries/events", headers=headers, timeout=5, trust_env=False) as events:
        lines = events.iter_lines()
        assert next(lines) == ": connected"
        assert next(line for line in lines if line.startswith(":")) == ": still here"
        del site.hub.users["token-to-revoke"]
        assert "event: execution.ended" not in list(lines)
