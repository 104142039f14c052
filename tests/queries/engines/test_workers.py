"""Workers: locked, bounded, replaced; an answer is whole or ends with an error."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from pachon.core.errors import LimitError, UnavailableError, UsageError
from pachon.core.fields import DataType, Field
from pachon.identity.models import ANONYMOUS
from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.engines.duckdb_worker import _kind_of, connect
from pachon.queries.engines.engine import WorkersBusyError
from pachon.queries.engines.worker import NotStartedError, WorkerConfig, WorkerProcess, spill_share
from pachon.queries.estimate.models import TimeClass
from pachon.queries.models import Phase, QueryLimits
from pachon.queries.plan import Aggregate, AggregateOp, Output, Plan, Scan, Select
from pachon.queries.service import QueryService
from support.asking import Sky

LONG = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b, sky.stars AS c WHERE a.ra + b.ra + c.ra > 1e9"
SORT = "SELECT TOP 1 a.name, b.name, a.id FROM sky.stars a, sky.stars b ORDER BY a.ra + b.dec, a.name OFFSET 60000000"
"""Holds much before its first row."""

EngineMaker = Callable[..., DuckDBEngine]


def service_on(sky: Sky, engine: DuckDBEngine, **limits: Any) -> QueryService:
    return QueryService(sky.releases, engine, sky.executions, QueryLimits(**limits))


def read(service: QueryService, adql: str) -> None:
    answer = service.ask(ANONYMOUS, adql)
    try:
        for _ in answer.batches:
            pass
    finally:
        answer.close()


def count_plan(sky: Sky) -> Plan:
    snapshot = sky.releases.snapshot(ANONYMOUS, "sky.stars")
    count = Aggregate(AggregateOp.COUNT, None, distinct=False, field=Field(name="n", datatype=DataType.LONG))
    return Plan(query=Select(outputs=(Output("n", count),), source=Scan(0, snapshot), groups=()), max_rows=5)


def wait_for(check: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_workers_stand_back_from_the_priority_of_who_starts_them(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pachon.queries.engines.worker import NotStartedError, WorkerConfig, WorkerProcess\n"
        "os.nice(3)\n"
        "worker = WorkerProcess(WorkerConfig(folders=(), temp_folder=sys.argv[1], niceness=4))\n"
        "print(os.getpriority(os.PRIO_PROCESS, worker.pid) - os.getpriority(os.PRIO_PROCESS, 0))\n"
        "os.kill(worker.pid, 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "4\n"


def test_a_killed_worker_fails_its_query_and_is_replaced(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    service = service_on(sky, engine)
    service.ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    (pid,) = engine.worker_pids
    threading.Timer(0.4, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(UnavailableError, match="ended unexpectedly"):
        read(service, LONG)
    assert sky.executions.kept[-1].phase is Phase.ERROR
    answer = service.ask(ANONYMOUS, "SELECT COUNT(*) AS n FROM sky.stars")
    assert next(answer.batches)["n"][0].as_py() == sky.rows.num_rows
    answer.close()
    assert engine.worker_pids != (pid,)


def test_a_worker_killed_between_batches_never_looks_like_the_end(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    wide = "SELECT a.*, b.id AS other FROM sky.stars AS a, sky.stars AS b"
    answer = service_on(sky, engine).ask(ANONYMOUS, wide, max_rows=5_000_000)
    next(answer.batches)
    os.kill(engine.worker_pids[0], signal.SIGKILL)
    with pytest.raises(UnavailableError):
        list(answer.batches)
    answer.close()


def test_an_idle_worker_that_dies_is_replaced_without_a_query(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    service_on(sky, engine).ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    wait_for(lambda: len(engine.worker_pids) == 1)
    (pid,) = engine.worker_pids
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: engine.worker_pids not in {(pid,), ()})


def test_giving_up_frees_the_worker_within_a_second(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    wide = "SELECT a.*, b.id AS other FROM sky.stars AS a, sky.stars AS b"
    answer = service_on(sky, engine).ask(ANONYMOUS, wide, max_rows=10_000_000)
    next(answer.batches)
    pids, started = engine.worker_pids, time.monotonic()
    answer.close()
    answer.close()
    assert time.monotonic() - started < 1
    assert sky.executions.kept[-1].phase is Phase.ABORTED
    run = engine.execute(count_plan(sky), timeout_s=30)
    assert [batch["n"][0].as_py() for batch in run] == [sky.rows.num_rows]
    run.close()
    assert engine.worker_pids == pids


@pytest.mark.parametrize("obeys", [True, False])
def test_a_query_told_to_stop_before_its_first_row_ends_within_two_seconds(
    sky: Sky, new_engine: EngineMaker, *, obeys: bool
) -> None:
    engine = new_engine()
    service = service_on(sky, engine)
    service.ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    pids = engine.worker_pids
    answer = service.ask(ANONYMOUS, LONG)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(next, answer.batches)
        time.sleep(0.4)
        assert not reading.done()
        if not obeys:
            os.kill(pids[0], signal.SIGSTOP)
        started = time.monotonic()
        answer.close()
        with pytest.raises(UnavailableError):
            reading.result()
        assert time.monotonic() - started < 2
    assert (sky.executions.kept[-1].phase, sky.executions.kept[-1].error) == (Phase.ABORTED, None)
    service.ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    assert (engine.worker_pids == pids) is obeys


def test_a_query_over_its_time_says_so_and_its_worker_serves_on(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    service = service_on(sky, engine, sync_timeout_s=0.5)
    service_on(sky, engine).ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    started = time.monotonic()
    with pytest.raises(LimitError, match=r"longer than the 0\.5 s"):
        read(service, LONG)
    assert time.monotonic() - started < 2.5
    service_on(sky, engine).ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()


def test_a_reader_who_never_comes_back_loses_the_worker_at_the_deadline(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    wide = "SELECT a.*, b.id AS other FROM sky.stars AS a, sky.stars AS b"
    service_on(sky, engine).ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    answer = service_on(sky, engine, sync_timeout_s=2).ask(ANONYMOUS, wide, max_rows=10_000_000)
    (pid,) = engine.worker_pids
    wait_for(lambda: engine.worker_pids not in {(pid,), ()})
    with pytest.raises(LimitError):
        list(answer.batches)
    answer.close()


def test_waiting_for_a_worker_ends_with_a_time_to_retry(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine(queue_timeout_s=5)
    holder = service_on(sky, engine).ask(ANONYMOUS, "SELECT a.* FROM sky.stars a, sky.stars b", max_rows=10_000_000)
    with pytest.raises(UnavailableError) as caught:
        service_on(sky, engine).ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars")
    assert caught.value.retry_after_s > 0
    holder.close()


def test_a_query_that_is_killed_leaves_nothing_of_what_it_spilled(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine(memory_bytes=64 * 1024**2, temp_bytes=1024**3)
    spill = Path(engine.pools[TimeClass.SHORT].limits.config.temp_folder)
    service = service_on(sky, engine, sync_timeout_s=60)
    answer = service.ask(ANONYMOUS, SORT)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(next, answer.batches)
        wait_for(lambda: any(path.is_file() and path.stat().st_size for path in spill.rglob("*")), 30)
        os.kill(engine.worker_pids[0], signal.SIGKILL)
        with pytest.raises(UnavailableError):
            reading.result()
    answer.close()
    assert [path for path in spill.rglob("*") if path.is_file()] == []


WHY = {"ends": "it ended with exit status 1 before it was ready", "cannot be made": "its process cannot be made"}


@pytest.mark.parametrize("fault", WHY)
def test_queries_say_so_when_no_worker_starts_and_run_again_when_one_does(
    sky: Sky,
    new_engine: EngineMaker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    engine = new_engine(queue_timeout_s=8)
    with monkeypatch.context() as broken:
        broken.setattr("pachon.queries.engines.pool._RETRY_AFTER_S", 0.2)
        if fault == "ends":
            broken.setattr("pachon.queries.engines.worker._MODULE", "pachon.no_such_module")
        else:
            broken.setattr("pachon.queries.engines.worker.sys.executable", "no-such-program")
        with pytest.raises(UnavailableError, match="No process that could run this query starts") as told:
            read(service_on(sky, engine), "SELECT TOP 1 ra FROM sky.stars")
        assert engine.broken() == (TimeClass.SHORT,)
    assert not isinstance(told.value, WorkersBusyError)
    said = [record for record in caplog.records if "did not start" in record.message]
    assert 1 < len(said) < 7
    assert all(f"a worker of short queries did not start: {WHY[fault]}" in record.message for record in said)
    assert [record.args[-1] for record in said] == [0.2 * 2**n for n in range(len(said))]
    assert [record.exc_info for record in said if record.exc_info] == []
    wait_for(lambda: bool(engine.worker_pids), 30)
    assert engine.broken() == ()
    read(service_on(sky, engine), "SELECT TOP 1 ra FROM sky.stars")


def test_a_worker_whose_database_cannot_be_opened_says_why(tmp_path: Path) -> None:
    worker = WorkerProcess(WorkerConfig(folders=(), temp_folder=str(tmp_path), threads=0))
    with pytest.raises(NotStartedError, match=r"its database cannot be opened .*thread"):
        wait_for(worker.is_ready, 60)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_is_ended_in_time_while_another_starts_slowly(
    sky: Sky, new_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = new_engine(workers=2)
    pool = engine.pools[TimeClass.SHORT]
    engine.start()
    wait_for(lambda: len(engine.worker_pids) == 2)
    spare, worker = (pool.lease(overdue_at=time.monotonic() + 60) for _ in range(2))
    monkeypatch.setattr(WorkerProcess, "is_ready", lambda _worker: False)
    pool.release(spare, usable=False)
    time.sleep(0.5)
    pool.hurry(worker, overdue_at=time.monotonic())
    wait_for(lambda: not worker.alive, 1)
    pool.release(worker, usable=False)
    monkeypatch.undo()
    read(service_on(sky, engine), "SELECT TOP 1 ra FROM sky.stars")


@pytest.mark.parametrize("spill_bytes", [0, 4 * 1024**2], ids=["no disk", "little disk"])
def test_too_little_memory_and_disk_is_a_limit_not_a_fault(sky: Sky, new_engine: EngineMaker, spill_bytes: int) -> None:
    engine = new_engine(memory_bytes=64 * 1024**2, temp_bytes=spill_bytes)
    with pytest.raises(LimitError, match="sort or group fewer rows"):
        read(service_on(sky, engine), SORT)
    service_on(sky, engine).ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()


def test_a_full_disk_is_no_fault_of_the_files() -> None:
    full = duckdb.IOException('IO Error: Could not write to file "spill/x.block": No space left on device')
    assert _kind_of(full) == "spill"
    assert _kind_of(duckdb.IOException('IO Error: Could not read from file "Npix=1.parquet"')) == "files"


def test_spilling_leaves_a_reserve_of_the_disk_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    reserve = free // 2
    share = spill_share(tmp_path, wanted_bytes=4 * free, reserve_bytes=reserve)
    assert share == pytest.approx((free - reserve) / (4 * free), rel=0.05)
    assert spill_share(tmp_path, wanted_bytes=1_000, reserve_bytes=reserve) == 1
    assert spill_share(tmp_path, wanted_bytes=1_000, reserve_bytes=2 * free) == 0


def test_numbers_out_of_range_are_the_askers_error(sky: Sky) -> None:
    with pytest.raises(UsageError, match="out of the range"):
        sky.ask("SELECT TOP 1 (id + 9223372036854775807) AS x FROM sky.stars")
    with pytest.raises(UsageError, match="converted"):
        sky.ask("SELECT TOP 1 CAST(name AS INTEGER) AS x FROM sky.stars WHERE name IS NOT NULL")


def test_many_threads_share_the_workers(sky: Sky) -> None:
    def ask(n: int) -> int:
        return sky.ask(f"SELECT COUNT(*) AS n FROM sky.stars WHERE MOD(id, 8) = {n}")["n"][0].as_py()

    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(ask, [*range(8)] * 3))
    assert sum(counts[:8]) == sky.rows.num_rows
    assert counts[:8] == counts[8:16] == counts[16:]


def test_a_million_rows_flow_without_being_held(sky: Sky, new_engine: EngineMaker) -> None:
    engine = new_engine()
    service = service_on(sky, engine)
    service.ask(ANONYMOUS, "SELECT TOP 1 ra FROM sky.stars").close()
    (worker,) = (psutil.Process(pid) for pid in engine.worker_pids)
    before, here = worker.memory_info().rss, psutil.Process().memory_info().rss
    answer = service.ask(ANONYMOUS, "SELECT a.*, b.id AS other FROM sky.stars a, sky.stars b", max_rows=2_000_000)
    rows, most, most_here = 0, 0, 0
    for batch in answer.batches:
        rows += batch.num_rows
        most, most_here = max(most, worker.memory_info().rss), max(most_here, psutil.Process().memory_info().rss)
    answer.close()
    assert rows == 2_000_000
    assert answer.overflow
    assert most - before < 120 * 1024**2
    assert most_here - here < 60 * 1024**2


def test_workers_end_with_their_owner_however_it_ends(sky: Sky, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pachon.queries.engines.duckdb_engine import DuckDBEngine;"
        "from pachon.queries.engines.pool import PoolLimits;"
        "from pachon.queries.engines.worker import NotStartedError, WorkerConfig;"
        "config = WorkerConfig(folders=(sys.argv[1],), temp_folder=sys.argv[2]);"
        "e = DuckDBEngine({'short': PoolLimits(config=config, workers=2)}); e.start();"
        "\nwhile len(e.worker_pids) < 2: time.sleep(0.05)\nprint(*e.worker_pids, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(sky.root), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
        assert len(workers) == 2
        owner.kill()
    gone, alive = psutil.wait_procs(workers, timeout=5)
    assert (len(gone), alive) == (2, [])


def test_the_database_of_a_worker_is_locked(sky: Sky, tmp_path: Path) -> None:
    config = {
        "folders": [str(sky.root)],
        "temp_folder": str(tmp_path / "spill"),
        "threads": 1,
        "memory_bytes": 2**27,
        "temp_bytes": 0,
    }
    database = connect(config)
    outside = tmp_path / "x.csv"
    outside.write_text("a\n1\n")
    for statement in (
        "SET threads = 2",
        "SET enable_external_access = true",
        f"SELECT * FROM read_csv('{outside}')",
        f"COPY (SELECT 1) TO '{tmp_path}/y.csv'",
        "SELECT * FROM '/etc/passwd'",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            database.execute(statement).fetchall()
    database.close()


def test_a_worker_calls_functions_of_ours_without_pandas(tmp_path: Path) -> None:
    config = {"folders": [str(tmp_path)], "temp_folder": "", "threads": 1, "memory_bytes": 2**28, "temp_bytes": 0}
    script = (
        "import sys; from pachon.queries.engines.duckdb_worker import connect, leave_pandas_out; leave_pandas_out(); "
        f"database = connect({config!r}); call = 'SELECT sky_pixel(range, 2) AS n FROM range(9)'; "
        "rows = [len(database.sql(call).to_arrow_reader().read_all()), len(database.execute(call).fetchall())]; "
        "print(*rows, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["9", "9", "False"]


def test_a_class_that_nobody_waits_for_is_found_to_be_well_again(
    new_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = new_engine(queue_timeout_s=0.5, pool={"idle_s": 0.5})
    with monkeypatch.context() as broken:
        broken.setattr("pachon.queries.engines.pool._RETRY_AFTER_S", 0.2)
        broken.setattr("pachon.queries.engines.worker.sys.executable", "no-such-program")
        with pytest.raises(UnavailableError, match="No process that could run this query starts"):
            engine.pools[TimeClass.SHORT].lease(overdue_at=time.monotonic() + 60)
        assert engine.broken() == (TimeClass.SHORT,)
    wait_for(lambda: engine.broken() == (), 30)
    wait_for(lambda: engine.worker_pids == (), 30)
