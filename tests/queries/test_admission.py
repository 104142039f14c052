"""Turns: given fairly, limited by person and by place in the queue, and given back whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from pachon.core.errors import UnavailableError
from pachon.identity.models import ANONYMOUS, Principal
from pachon.queries.admission import Admission, AdmissionLimits, Asker
from pachon.queries.estimate.models import TimeClass
from pachon.queries.line import Wait
from pachon.queries.models import Phase
from support.app import AS_HOLDER, AS_VISITOR, Site, running_site

ANN, BEN = Asker.of(Principal("ann"), "192.0.2.1"), Asker.of(Principal("ben"), "192.0.2.1")
LONG = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.dec, b.ra) > 179.9"
"""Takes a minute, as is known beforehand: the workers of heavy queries run it."""
SLOW = {"LANG": "ADQL", "QUERY": LONG, "RESPONSEFORMAT": "csv"}
CONE = {"RA": "0", "DEC": "90", "SR": "1", "RESPONSEFORMAT": "csv"}


def visitor(address: str) -> Asker:
    return Asker.of(ANONYMOUS, address)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_free_turns_go_to_each_in_a_circle_however_many_one_has_waiting() -> None:
    async def scene() -> list[str]:
        admission, order = Admission(AdmissionLimits(running=2, running_per_person=1)), []

        async def query(asker: Asker) -> None:
            place = await admission.enter(asker)
            order.append(asker.key)
            await asyncio.sleep(0.01)
            admission.leave(place)

        crowd = [ANN] * 20 + [BEN] * 2 + [visitor("192.0.2.7")] * 2
        await asyncio.gather(*(query(asker) for asker in crowd))
        return order

    order = asyncio.run(scene())
    assert len(order) == 24
    assert {ANN.key, BEN.key} == set(order[:2])
    assert max(place for place, key in enumerate(order) if key != ANN.key) < 10


def test_one_turn_is_left_to_others_whatever_the_settings() -> None:
    async def scene() -> None:
        admission = Admission(AdmissionLimits(running=3, running_per_person=9, running_anonymous=9, timeout_s=0.02))
        for asker in (ANN, ANN):
            await admission.enter(asker)
        with pytest.raises(UnavailableError, match=r"waited 0\.02 s .* 1st in line, .* you have 2 running") as caught:
            await admission.enter(ANN)
        assert caught.value.retry_after_s > 0
        await admission.enter(BEN)
        with pytest.raises(UnavailableError, match="all 3 turns of queries are taken"):
            await admission.enter(BEN)

    asyncio.run(scene())


def test_turns_that_jobs_have_taken_are_missing_until_they_come_back() -> None:
    async def scene() -> None:
        admission = Admission(AdmissionLimits(running=3, running_per_person=9, timeout_s=5))
        job = admission.occupy(visitor("jobs"))
        own = await admission.enter(ANN)
        waiting = [asyncio.create_task(admission.enter(BEN)) for _ in range(2)]
        await settle()
        assert [each.done() for each in waiting] == [True, False]
        await asyncio.to_thread(admission.leave, job)
        async with asyncio.timeout(1):
            await asyncio.gather(*waiting)
        admission.leave(own)
        admission.leave(own)
        assert admission.wait(ANN).position == 0
        for _ in range(9):
            admission.occupy(BEN)
        assert admission.wait(ANN).position == 1

    asyncio.run(scene())


def test_place_and_wait_follow_from_those_before_and_from_how_long_others_took() -> None:
    async def scene() -> tuple[Wait, ...]:
        admission = Admission(AdmissionLimits(running=2, running_per_person=9, left_to_others=0))
        for asker in (ANN, BEN):
            await admission.enter(asker, 30)
        waiting = [asyncio.create_task(admission.enter(asker, 10)) for asker in (ANN, ANN, ANN, BEN)]
        await settle()
        found = admission.wait(visitor("192.0.2.1")), admission.wait(BEN), admission.wait(ANN)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return found

    new, second, third = asyncio.run(scene())
    assert [each.position for each in (new, second, third)] == [3, 4, 5]
    assert [round(each.seconds) for each in (new, second, third)] == [40, 40, 50]


def test_anonymous_visitors_share_a_limit_and_are_told_apart_by_address() -> None:
    async def scene() -> None:
        limits = AdmissionLimits(running=4, running_per_person=1, running_anonymous=2, timeout_s=0.02)
        admission = Admission(limits)
        await admission.enter(visitor("2001:db8:1:1::1"))
        with pytest.raises(UnavailableError, match="your address has 1 running"):
            await admission.enter(visitor("2001:db8:1:1:ffff::2"))
        await admission.enter(visitor("::ffff:192.0.2.1"))
        with pytest.raises(UnavailableError, match="your address has 1 running"):
            await admission.enter(visitor("192.0.2.1"))
        with pytest.raises(UnavailableError, match=r"anonymous visitors have 2 running, .* log in"):
            await admission.enter(visitor("192.0.2.3"))
        await admission.enter(ANN)

    asyncio.run(scene())


def test_where_no_turn_is_left_to_others_one_alone_takes_all_and_messages_name_the_kind() -> None:
    async def scene() -> None:
        limits = AdmissionLimits(running=2, left_to_others=0, timeout_s=0.02, kind="tile", kinds="tiles")
        admission = Admission(limits)
        for _ in range(2):
            await admission.enter(visitor("192.0.2.1"))
        with pytest.raises(UnavailableError, match=r"This tile waited .* your address has 2 running"):
            await admission.enter(visitor("192.0.2.1"))
        with pytest.raises(UnavailableError, match="all 2 turns of tiles are taken"):
            await admission.enter(ANN)

    asyncio.run(scene())


def test_a_full_queue_is_told_at_once() -> None:
    async def scene() -> None:
        admission = Admission(AdmissionLimits(running=1, waiting=3, waiting_per_person=2))
        await admission.enter(ANN)
        waiting = [asyncio.create_task(admission.enter(asker)) for asker in (ANN, ANN, BEN)]
        await settle()
        with pytest.raises(UnavailableError, match="You have 2 queries waiting already"):
            await admission.enter(ANN)
        with pytest.raises(UnavailableError, match="3 queries are waiting already"):
            await admission.enter(BEN)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scene())


def test_who_gives_up_waiting_leaves_no_trace_also_in_the_moment_of_being_admitted() -> None:
    async def scene() -> None:
        admission = Admission(AdmissionLimits(running=1))
        first = await admission.enter(ANN)
        early, late = (asyncio.create_task(admission.enter(BEN)) for _ in range(2))
        await settle()
        early.cancel()
        await settle()
        admission.leave(first)
        late.cancel()
        await settle()
        assert early.cancelled()
        assert late.cancelled()
        async with asyncio.timeout(1):
            last = await admission.enter(ANN)
        admission.leave(last)
        assert not admission._running
        assert not admission._queues

    asyncio.run(scene())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    with running_site(root, max_rows=5_000_000, heavy={"workers": 2}) as running:
        running.client.get("/api/scs/sky.stars", params=CONE).raise_for_status()
        yield running


def answer(site: Site, path: str, **request: object) -> httpx.Response:
    return site.client.get(path, **request).raise_for_status()


def in_the_way(admission: Admission) -> int:
    """Turns that are taken or waited for."""
    return admission._running.total() + sum(map(len, admission._queues.values()))


def heavy(site: Site) -> Admission:
    return site.services.dispatcher.admissions[TimeClass.HEAVY]


def patient(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries wait for as long as the slow one may run."""
    for admission in site.services.dispatcher.admissions.values():
        monkeypatch.setattr(admission, "_limits", replace(admission._limits, timeout_s=60))


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 50
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def flood(
    site: Site, headers: dict[str, str], count: int, *, refused: int = 0, during: Callable[[], None] = lambda: None
) -> list[httpx.Response | BaseException]:
    """Ask `count` slow queries; when so many are refused and all others run or wait, do something; then go away."""

    async def scene() -> list[httpx.Response | BaseException]:
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=60, limits=limits) as client:
            asked = [
                asyncio.create_task(client.get("/api/tap/sync", params=SLOW, headers=headers)) for _ in range(count)
            ]
            await asyncio.to_thread(_wait, lambda: sum(task.done() for task in asked) >= refused)
            await asyncio.to_thread(_wait, lambda: in_the_way(heavy(site)) >= count - refused)
            await asyncio.to_thread(during)
            answered = [task.result() for task in asked if task.done()]
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            return answered

    return asyncio.run(scene())


@pytest.mark.parametrize("headers", [AS_VISITOR, {}], ids=["a person", "an anonymous visitor"])
def test_others_and_other_addresses_are_answered_while_a_flood_of_slow_queries_runs_and_waits(
    site: Site, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(site, monkeypatch)
    still_there: list[int] = []

    def meanwhile() -> None:
        answer(site, "/api/scs/sky.stars", params=CONE, headers=AS_HOLDER)
        answer(site, "/api/releases")
        answer(site, "/api/tiles/sky.stars", params={"order": 1, "pixel": 2})
        still_there.append(in_the_way(heavy(site)))

    refused = flood(site, headers, 60, refused=9, during=meanwhile)
    assert still_there[0] >= 51  # one that runs and fifty that wait
    assert {each.status_code for each in refused} == {503}
    assert "50 queries waiting already" in refused[0].text
    assert int(refused[0].headers["Retry-After"]) > 0


def test_a_client_that_leaves_before_the_first_rows_ends_its_query_long_before_its_time(site: Site) -> None:
    def runs() -> list[Phase]:
        listed = site.services.executions.list("visitor", limit=200)
        return [run.phase for run in listed if run.query == LONG]

    before = len(runs())
    flood(site, AS_VISITOR, 3)  # one runs, two wait
    left_at = time.monotonic()
    while len(runs()) == before:
        assert time.monotonic() < left_at + site.services.settings.queries.sync_timeout_s / 2
        time.sleep(0.02)
    answer(site, "/api/scs/sky.stars", params=CONE, headers=AS_VISITOR)
    assert runs()[: len(runs()) - before] == [Phase.ABORTED]


def test_a_query_that_waited_too_long_is_told_why_and_when_to_come_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heavy(site), "_limits", replace(heavy(site)._limits, timeout_s=0.3))
    answers = flood(site, AS_VISITOR, 2, refused=1)
    assert [each.status_code for each in answers] == [503]
    assert "1st in line, with about" in answers[0].text
    assert "you have 1 running, as many as one may" in answers[0].text
    assert f"ask it as a job at {site.url}/api/tap/async" in answers[0].text


def test_a_client_that_reads_nothing_any_more_loses_its_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pachon.vo.http._STALL_S", 0.3)
    patient(site, monkeypatch)
    wide = {
        **SLOW,
        "QUERY": "SELECT a.*, b.* FROM sky.stars AS a, sky.stars AS b",
        "RESPONSEFORMAT": "arrow",
        "MAXREC": "5000000",
    }
    with site.client.stream("GET", "/api/tap/sync", params=wide, headers=AS_VISITOR) as stalled:
        run = stalled.headers["X-Pachon-Execution"]
        _wait(lambda: run in [each.id for each in site.services.executions.list("visitor", limit=10)])
        _wait(lambda: in_the_way(heavy(site)) == 0)
