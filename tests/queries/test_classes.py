"""Classes of work: where queries go, who waits for whom, and what is left of a query that was killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx
import psutil
import pytest

from pachon.core import clock
from pachon.core.errors import LimitError
from pachon.identity.models import ANONYMOUS
from pachon.queries.admission import Asker
from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.engines.engine import OutgrownError
from pachon.queries.engines.pool import PoolLimits
from pachon.queries.engines.worker import WorkerConfig
from pachon.queries.estimate.models import Load, TimeClass
from pachon.queries.estimate.quick import quick_load
from pachon.queries.jobs.models import Job, JobPhase
from pachon.queries.jobs.service import fair_order
from pachon.queries.jobs.storage import InLine
from pachon.queries.line import expected_wait_s, ordinal, remaining_s, spoken_s
from pachon.queries.models import Phase, Protocol, QueryLimits
from pachon.queries.plan import Plan
from pachon.queries.service import QueryService
from support.app import AS_HOLDER, AS_VISITOR, Site, running_site
from support.asking import Sky
from support.jobs import UWS, files, finished, get, make, phase, post, told, until

ENDLESS = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b, sky.stars AS c WHERE a.ra + b.ra + c.ra > 1e9"
LONG = ENDLESS.replace("sky.stars AS c", "(SELECT TOP 50 ra FROM sky.stars) AS c")
"""Expected to take longer than a synchronous query may, but not than a job may."""
PAIRS = "SELECT AVG(a.ra) AS n FROM sky.stars AS a, sky.stars AS b WHERE ABS(a.ra - b.dec) < 40"
SCAN = PAIRS.replace("sky.stars AS a", "(SELECT TOP 5000 ra FROM sky.stars) AS a")
CONE = {"RA": "0", "DEC": "90", "SR": "1", "RESPONSEFORMAT": "csv"}


def sync(site: Site, adql: str, headers: dict[str, str] = AS_HOLDER) -> httpx.Response:
    params = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "csv"}
    return site.client.get("/api/tap/sync", params=params, headers=headers)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    with running_site(root, waiting_per_person=99, scan={"queue_timeout_s": 120}) as running:
        yield running


def runs_of(site: Site, adql: str) -> list[TimeClass]:
    return [run.time_class for run in site.services.executions.list("novice", limit=500) if run.query == adql]


def test_while_twenty_scans_run_and_wait_fifty_cones_are_answered_as_if_nobody_were_there(site: Site) -> None:
    def cone(_: int) -> float:
        began_s = time.perf_counter()
        site.client.get("/api/scs/sky.stars", params=CONE).raise_for_status()
        return time.perf_counter() - began_s

    sync(site, SCAN).raise_for_status()
    with ThreadPoolExecutor(24) as threads:
        scans = [threads.submit(sync, site, SCAN) for _ in range(20)]
        scan_turns = site.services.dispatcher.admissions[TimeClass.SCAN]
        until(lambda: scan_turns.wait(Asker("person novice", is_anonymous=False)).position > 15)
        alone = [cone(number) for number in range(10)]
        together = list(threads.map(cone, range(50)))
        were_waiting = sum(not scan.done() for scan in scans)
        assert {scan.result().status_code for scan in scans} == {200}
    assert were_waiting > 5, "cones were asked while scans ran"
    assert set(runs_of(site, SCAN)) == {TimeClass.SCAN}
    assert median(alone) < 0.5, f"while scans run: {alone}"
    assert quantiles(together, n=20)[-1] < 10, f"many at once: {together}"


def test_a_synchronous_query_that_is_too_long_is_told_at_once_why_and_where_to_ask(site: Site) -> None:
    began_s = time.monotonic()
    refused = sync(site, LONG)
    assert (refused.status_code, time.monotonic() - began_s < 5) == (400, True)
    for words in ("longer than the 60 s of a synchronous query", f"job at {site.url}/api/tap/async", "is paired with"):
        assert words in refused.text


def test_heavy_jobs_wait_in_line_with_place_and_expected_end_and_hold_up_nobody(site: Site) -> None:
    people = (AS_HOLDER, AS_VISITOR, AS_VISITOR)
    first = make(site, ENDLESS, PHASE="RUN")
    until(lambda: phase(site, first) == "EXECUTING")
    second, third = (make(site, ENDLESS, headers=AS_VISITOR, PHASE="RUN") for _ in range(2))
    assert finished(site, make(site, PHASE="RUN")) == "COMPLETED"
    document = told(get(site, third, AS_VISITOR))
    (queue,) = document.find(f"{UWS}jobInfo")
    assert (phase(site, second, AS_VISITOR), queue.get("position")) == ("QUEUED", "2")
    assert int(queue.get("waitSeconds")) > 60
    assert document.findtext(f"{UWS}quote") > uws_moment(clock.now() + timedelta(minutes=1))
    quotes = [get(site, f"{path}/quote", who).text for path, who in zip((first, second, third), people, strict=True)]
    assert quotes == sorted(set(quotes))
    longest = timedelta(seconds=site.services.settings.jobs.default_duration_s + 1)
    for number, quote in enumerate(quotes, 1):
        assert quote <= uws_moment(clock.now() + number * longest), "nobody runs longer than jobs may"
    soon = uws_moment(clock.now() + 2 * longest)
    post(site, f"{third}/destruction", AS_VISITOR, DESTRUCTION=soon)
    assert get(site, f"{third}/quote", AS_VISITOR).text == "", "it will be gone by then"
    estimate = site.client.get("/api/queries/estimate", params={"QUERY": LONG}, headers=AS_HOLDER).json()
    assert (estimate["limits"]["fate"], estimate["limits"]["position"]) == ("queue", 1)
    for path, who in zip((first, second, third), people, strict=True):
        post(site, f"{path}/phase", who, PHASE="ABORT")
        assert finished(site, path, who) == "ABORTED"


def uws_moment(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}"


def heavy_workers(site: Site) -> list[int]:
    return list(site.services.engine.pools[TimeClass.HEAVY].pids)


@pytest.mark.parametrize("way", ["by its owner", "by its limit", "by a restart"])
def test_a_killed_job_leaves_no_file_process_or_lock_behind(tmp_path: Path, way: str) -> None:
    spilling = ENDLESS.replace("COUNT(*) AS n", "a.*, b.ra AS rb, c.ra AS rc") + " ORDER BY rb, rc"
    with running_site(tmp_path, heavy={"idle_s": 0.5}) as site:
        path = make(site, spilling)
        if way == "by its limit":
            post(site, f"{path}/executionduration", EXECUTIONDURATION="2")
        post(site, f"{path}/phase", PHASE="RUN")
        until(lambda: phase(site, path) == "EXECUTING" and bool(heavy_workers(site)))
        pids = list(site.services.engine.worker_pids)
        if way == "by its owner":
            post(site, f"{path}/phase", PHASE="ABORT")
        if way == "by a restart":
            site.services.runner.close()
            assert phase(site, path) == "QUEUED", "it goes back to its place"
        else:
            assert finished(site, path) == "ABORTED"
            until(lambda: not heavy_workers(site))
        assert files(site, path) == []
        assert sync(site, "SELECT TOP 1 id FROM sky.stars").status_code == 200, "the database is not locked"
        site.services.engine.close()
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
        assert [path.name for path in site.services.spill.path.iterdir()] == ["lock"]
    assert list((tmp_path / "spill").iterdir()) == []


@contextmanager
def engine_of_classes(folder: Path, spill: Path, **of_short: float) -> Iterator[DuckDBEngine]:
    config = WorkerConfig(folders=(str(folder),), temp_folder=str(spill), memory_bytes=512 * 1024**2)
    pools = {each: PoolLimits(config=config, workers=1, queue_timeout_s=20, idle_s=1) for each in TimeClass}
    engine = DuckDBEngine(pools | {TimeClass.SHORT: replace(pools[TimeClass.SHORT], idle_s=None, **of_short)})
    yield engine
    engine.close()


def test_a_query_that_outgrows_its_class_goes_on_in_the_next_and_a_job_of_it_is_told(sky: Sky, tmp_path: Path) -> None:
    slow = PAIRS
    with engine_of_classes(sky.root, tmp_path, time_limit_s=0.1) as engine:
        service = replace_engine(sky, engine)
        moved: list[TimeClass] = []
        prepared = replace(service.prepare(ANONYMOUS, slow), on_outgrown=moved.append)
        answer = service.start(prepared)
        assert sum(batch.num_rows for batch in answer.batches) == 1
        answer.close()
        assert moved == [TimeClass.SCAN]
        assert (sky.executions.kept[-1].phase, sky.executions.kept[-1].time_class) == (Phase.COMPLETED, TimeClass.SCAN)
        before = len(sky.executions.kept)
        answer = service.ask(ANONYMOUS, slow, protocol=Protocol.TAP_ASYNC)
        with pytest.raises(OutgrownError):
            list(answer.batches)
        answer.close()
        assert len(sky.executions.kept) == before, "it will be run again"
        until(lambda: len(engine.worker_pids) == 1)


def replace_engine(sky: Sky, engine: DuckDBEngine) -> QueryService:
    return replace(sky, engine=engine).service(limits=QueryLimits())


def test_a_job_that_outgrew_its_class_waits_for_the_next_and_this_was_no_attempt() -> None:
    now = clock.now()
    job = Job(
        id="j", owner="ann", parameters=(), phase=JobPhase.EXECUTING, created_at=now, destruction=now, duration_s=9,
        attempts=1, holder="here",
    )  # fmt: skip
    classes = []
    for _ in range(3):
        job = job.wait_for_larger()
        classes.append(job.time_class)
        assert (job.phase, job.attempts, job.holder) == (JobPhase.QUEUED, 0, "")
        job = replace(job, phase=JobPhase.EXECUTING, attempts=1)
    assert classes == [TimeClass.SCAN, TimeClass.HEAVY, TimeClass.HEAVY]


def test_the_line_of_jobs_goes_round_its_owners() -> None:
    line = [
        InLine(id=name, owner=name[0], started_at=clock.now() if name == "a1" else None, expected_s=1)
        for name in ("a1", "a2", "a3", "b1", "c1", "b2")
    ]
    assert [one.id for one in fair_order(line)] == ["b1", "c1", "a2", "b2", "a3"]


def test_waiting_is_reckoned_from_what_runs_and_what_comes_before() -> None:
    assert expected_wait_s([], [], places=2) == 0
    assert expected_wait_s([5, 30], [10, 10], places=2) == 25
    assert expected_wait_s([5, 30, 40], [], places=2) == 30
    assert (remaining_s(10, 4), remaining_s(10, 100)) == (6, 50)
    assert [spoken_s(each) for each in (0.2, 40, 720, 9_000)] == ["1 s", "40 s", "12 min", "2 h"]
    assert [ordinal(each) for each in (1, 2, 3, 4, 11, 21, 112)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "21st",
        "112th",
    ]


@pytest.mark.parametrize(
    ("adql", "is_quick"),
    [
        ("SELECT TOP 1 * FROM sky.stars", True),
        ("SELECT * FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 10, 1))", True),
        ("SELECT a.id FROM sky.stars AS a, sky.stars AS b", False),
        ("SELECT id FROM sky.stars WHERE id IN (SELECT id FROM sky.stars)", False),
        (f"SELECT {' + '.join(['SIN(ra)'] * 40)} AS x FROM sky.stars", False),
    ],
)
def test_only_what_is_surely_short_is_spared_an_estimate(sky: Sky, adql: str, *, is_quick: bool) -> None:
    plan: Plan = sky.service().plan(ANONYMOUS, adql)
    load = quick_load(plan)
    assert (load is not None) is is_quick
    assert load is None or load.time_class is TimeClass.SHORT
    began_s = time.perf_counter()
    for _ in range(100):
        quick_load(plan)
    assert (time.perf_counter() - began_s) / 100 < 0.001


def test_a_rough_estimate_refuses_nothing_and_a_sure_one_says_how_long() -> None:
    limits = QueryLimits(sync_timeout_s=60)
    limits.check_time(Load(TimeClass.HEAVY, 900, is_rough=True))
    limits.check_time(Load(TimeClass.SCAN, 59))
    with pytest.raises(LimitError, match="about 15 min, longer than the 60 s"):
        limits.check_time(Load(TimeClass.HEAVY, 900))
