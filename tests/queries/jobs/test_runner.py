"""The runner: what becomes of a job, whatever happens on the way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from pachon.core import clock
from pachon.core.errors import LimitError, UnavailableError, UsageError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.core.ids import new_id
from pachon.identity.models import ANONYMOUS
from pachon.queries.engines.engine import WorkersBusyError
from pachon.queries.estimate.models import TimeClass
from pachon.queries.jobs.models import Job, JobLimits, JobPhase
from pachon.queries.jobs.runner import JobRunner
from pachon.queries.jobs.spool import Spool
from pachon.queries.jobs.sql_storage import SqlJobStore
from pachon.queries.models import Answer
from pachon.state.database import migrate, open_database

FIELDS = (Field(name="n", datatype=DataType.LONG, unit="m", ucd="meta.number", description="A <number>"),)
PLACES = dict.fromkeys(TimeClass, 1)
LIMITS = JobLimits(lease_s=1, running_per_person=9)
BATCH = pa.record_batch([pa.array(range(1_000), pa.int64())], schema=arrow_schema(FIELDS))


@dataclass
class Bench:
    """A store, a spool, and runners that ask a stand-in for the query service."""

    store: SqlJobStore
    spool: Spool
    folder: Path
    batches: int = 3
    failures: list[Exception] = field(default_factory=list)
    """Raised by the first queries, one each."""
    hold: threading.Event = field(default_factory=threading.Event)
    """The second batch waits for this."""
    asked: int = 0
    closed: int = 0
    turns: list[str] = field(default_factory=list)
    """What the runner said of the turns that it takes."""

    def ask(self, job: Job, _files: object) -> Answer:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        answer = Answer(execution_id=f"run-of-{job.id}", fields=FIELDS, batches=iter(()), max_rows=9, tables=("a.b",))
        answer.batches = self._flow(answer)
        answer.on_close = lambda _: setattr(self, "closed", self.closed + 1)
        return answer

    def _flow(self, answer: Answer) -> Iterator[pa.RecordBatch]:
        for number in range(self.batches):
            while number == 1 and not self.hold.wait(0.01):
                if answer.on_close is None:
                    raise UnavailableError("The query was stopped.")
            yield BATCH
        answer.overflow = True

    def occupy(self, job: Job) -> Callable[[], None]:
        self.turns.append(f"{job.time_class} taken")
        return lambda: self.turns.append(f"{job.time_class} left")

    @contextmanager
    def running(self, limits: JobLimits = LIMITS) -> Iterator[JobRunner]:
        runner = JobRunner(self.store, self.spool, self.ask, limits, places=PLACES, occupy=self.occupy)
        runner.start()
        try:
            yield runner
        finally:
            runner.close()

    def queue(self, *, duration_s: int = 60) -> str:
        now = clock.now()
        job = Job(
            id=new_id(), owner="", parameters=(), phase=JobPhase.PENDING, created_at=now,
            destruction=now + timedelta(days=1), duration_s=duration_s,
        )  # fmt: skip
        self.store.add(job.queue(ANONYMOUS, now), limit=99)
        return job.id

    def until(self, job_id: str, *phases: JobPhase, within_s: float = 8) -> Job:
        deadline = time.monotonic() + within_s
        while (job := self.store.get(job_id)).phase not in phases:
            assert time.monotonic() < deadline, job
            time.sleep(0.01)
        return job

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*"))

    def wait_for_no_file(self, within_s: float = 2) -> None:
        deadline = time.monotonic() + within_s
        while self.files:
            assert time.monotonic() < deadline, self.files
            time.sleep(0.01)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    migrate(url)
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def bench(state: Engine, tmp_path: Path) -> Bench:
    return Bench(SqlJobStore(state), Spool(tmp_path / "jobs"), tmp_path / "jobs")


ENDED = (JobPhase.COMPLETED, JobPhase.ERROR, JobPhase.ABORTED)


def test_a_result_reads_back_as_the_answer_it_was(bench: Bench) -> None:
    bench.hold.set()
    job_id = bench.queue()
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.tables, job.row_count, job.overflow) == (JobPhase.COMPLETED, ("a.b",), 3_000, True)
    assert bench.files == [f"{job_id}.1.arrow"]
    assert job.size_bytes == (bench.folder / bench.files[0]).stat().st_size
    rows = bench.spool.read(job)
    batches = list(rows.batches)
    rows.close()
    assert (rows.fields, rows.overflow, batches) == (FIELDS, True, [BATCH] * 3)
    assert bench.folder.stat().st_mode & 0o077 == (bench.folder / bench.files[0]).stat().st_mode & 0o077 == 0


def test_a_result_may_be_closed_while_another_thread_reads_it(bench: Bench) -> None:
    bench.hold.set()
    bench.batches = 300
    job_id = bench.queue()
    with bench.running():
        job = bench.until(job_id, *ENDED)
    for _ in range(20):
        rows = bench.spool.read(job)
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(lambda read=rows: sum(1 for _ in read.batches))
            time.sleep(0.001)
            rows.close()
            assert reading.result() <= 300
        rows.close()


def test_an_empty_result_keeps_its_columns(bench: Bench) -> None:
    bench.batches = 0
    job_id = bench.queue()
    with bench.running():
        rows = bench.spool.read(bench.until(job_id, *ENDED))
    assert (rows.fields, list(rows.batches)) == (FIELDS, [])
    rows.close()


@pytest.mark.parametrize("act", ["abort", "delete", "expire"])
def test_a_job_that_is_not_wanted_any_more_stops_within_a_second_and_leaves_nothing(bench: Bench, act: str) -> None:
    job_id = bench.queue()
    acts: dict[str, Callable[[], object]] = {
        "abort": lambda: bench.store.change(job_id, lambda job: job.abort(clock.now())),
        "delete": lambda: bench.store.delete(job_id),
        "expire": lambda: bench.store.change(job_id, lambda job: replace(job, destruction=clock.now())),
    }
    with bench.running():
        bench.until(job_id, JobPhase.EXECUTING)
        while not bench.files:
            time.sleep(0.01)
        acts[act]()
        began_s = time.monotonic()
        bench.wait_for_no_file()
        assert time.monotonic() - began_s < 1.5
    assert bench.closed == bench.asked == 1
    assert bench.turns == ["short taken", "short left"]
    if act == "abort":
        assert bench.store.get(job_id).phase is JobPhase.ABORTED


def test_a_process_that_ends_in_order_puts_its_job_back_and_another_completes_it(bench: Bench) -> None:
    job_id = bench.queue()
    with bench.running():
        bench.until(job_id, JobPhase.EXECUTING)
    waiting = bench.store.get(job_id)
    assert (waiting.phase, waiting.holder, bench.files) == (JobPhase.QUEUED, "", [])
    bench.hold.set()
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.attempts) == (JobPhase.COMPLETED, 2)


def test_the_job_of_a_process_that_was_killed_is_executed_again_when_its_lease_has_ended(bench: Bench) -> None:
    bench.hold.set()
    job_id = bench.queue()
    assert bench.store.claim("killed", LIMITS, TimeClass.SHORT) is not None
    bench.folder.mkdir()
    (bench.folder / f"{job_id}.1.part").write_bytes(b"half a result")
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.attempts, bench.files) == (JobPhase.COMPLETED, 2, [f"{job_id}.2.arrow"])


def test_a_job_that_was_executing_at_three_restarts_ends_with_the_reason(bench: Bench) -> None:
    job_id = bench.queue()
    for number in range(3):
        assert bench.store.claim(f"killed-{number}", replace(LIMITS, lease_s=0), TimeClass.SHORT) is not None
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, bench.asked) == (JobPhase.ERROR, 0)
    assert job.error == "The process that executed this job ended 3 times; ask for less."


def test_a_living_process_keeps_its_job_longer_than_a_lease(bench: Bench) -> None:
    job_id = bench.queue()
    with bench.running(), bench.running():
        bench.until(job_id, JobPhase.EXECUTING)
        time.sleep(2.2 * LIMITS.lease_s)
        bench.hold.set()
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.attempts, bench.asked) == (JobPhase.COMPLETED, 1, 1)


def test_a_result_of_a_process_that_has_lost_its_job_does_not_count(bench: Bench) -> None:
    job_id = bench.queue()
    with bench.running():
        bench.until(job_id, JobPhase.EXECUTING)
        bench.store.change(job_id, lambda job: replace(job, holder="another", attempts=2))
        bench.hold.set()
        bench.wait_for_no_file()
    assert (bench.store.get(job_id).phase, bench.store.get(job_id).holder) == (JobPhase.EXECUTING, "another")


@pytest.mark.parametrize(
    ("failures", "phase", "error", "attempts"),
    [
        ([WorkersBusyError("busy")] * 2, JobPhase.COMPLETED, None, 1),
        ([UnavailableError("lost")], JobPhase.COMPLETED, None, 2),
        ([UnavailableError("lost")] * 3, JobPhase.ERROR, "lost", 3),
        ([UsageError("wrong")], JobPhase.ERROR, "wrong", 1),
        ([LimitError("too much memory")], JobPhase.ERROR, "too much memory", 1),
        ([ZeroDivisionError("secret")], JobPhase.ERROR, "The server failed; the fault is logged. Report it", 1),
    ],
)
def test_what_may_go_better_is_tried_again_and_what_may_not_ends_with_the_reason(
    bench: Bench, failures: list[Exception], phase: JobPhase, error: str | None, attempts: int
) -> None:
    bench.hold.set()
    bench.failures = list(failures)
    job_id = bench.queue()
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.attempts) == (phase, attempts)
    assert (job.error or "").startswith(error or "")
    assert (job.error is None) is (error is None)
    assert "secret" not in (job.error or "")


def test_a_limit_that_is_met_when_the_time_is_over_aborts_the_job(bench: Bench) -> None:
    job_id = bench.queue(duration_s=0)
    bench.failures = [LimitError("The query ran longer than allowed")]
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.error) == (JobPhase.ABORTED, "The query ran longer than allowed")


def test_a_result_that_does_not_fit_ends_the_job_with_limit_and_remedy_and_leaves_no_file(bench: Bench) -> None:
    bench.hold.set()
    bench.batches = 1_000
    first, second = bench.queue(), bench.queue()
    with bench.running(replace(LIMITS, max_result_bytes_per_person=3 * 1024**2)):
        jobs = [bench.until(job_id, *ENDED) for job_id in (first, second)]
    assert [job.phase for job in jobs] == [JobPhase.COMPLETED, JobPhase.ERROR], bench.files
    assert "fit into the 3 MiB that your results together may take on disk; delete jobs" in (jobs[1].error or "")
    assert bench.files == [f"{first}.1.arrow"]


def test_a_disk_that_takes_nothing_is_said_so(bench: Bench) -> None:
    bench.folder.parent.joinpath("jobs").write_text("a file where the folder should be")
    job_id = bench.queue()
    with bench.running():
        job = bench.until(job_id, *ENDED)
    assert (job.phase, job.attempts) == (JobPhase.ERROR, 3)
    assert (job.error or "").startswith("The result could not be written to disk: File exists")


def test_expired_jobs_and_files_of_no_job_are_tidied_away(bench: Bench) -> None:
    bench.hold.set()
    due, stays = bench.queue(), bench.queue()
    with bench.running() as runner:
        for job_id in (due, stays):
            bench.until(job_id, *ENDED)
        (bench.folder / "nobodys.1.part").write_bytes(b"old")
        for path in bench.folder.glob("*"):
            long_ago = time.time() - 7_200
            os.utime(path, (long_ago, long_ago))
        (bench.folder / "nobodys-yet.1.part").write_bytes(b"new")
        bench.store.change(due, lambda job: replace(job, destruction=clock.now()))
        runner.tidy()
    assert bench.files == sorted([f"{stays}.1.arrow", "nobodys-yet.1.part"])
