"""Every `JobStore` keeps these promises."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete

from pachon.core.errors import LimitError, NotFoundError
from pachon.core.ids import new_id
from pachon.identity.models import Principal
from pachon.queries.estimate.models import TimeClass
from pachon.queries.jobs.models import Job, JobLimits, JobPhase, JobResult
from pachon.queries.jobs.sql_storage import JOBS, SqlJobStore
from pachon.queries.jobs.storage import JOB_PHASE, JobFilter
from pachon.state.database import writing
from pachon.state.outbox import Outbox

NOON = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
LIMITS = JobLimits(running_total=3, running_per_person=2, lease_s=10)
MANY = 1_000


class Clock:
    """A clock that tests turn forward."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Engine, clock: Clock) -> SqlJobStore:
    """An empty store: what is executed next depends on all jobs there are."""
    with writing(database) as connection:
        connection.execute(delete(JOBS))
    return SqlJobStore(database, now=clock)


def make(owner: str, *, queued_s: float | None = None, destruction: datetime = NOON + timedelta(days=7)) -> Job:
    """A PENDING job, or one that was queued some seconds after noon."""
    created_at = NOON + timedelta(seconds=queued_s or 0)
    job = Job(
        id=new_id(),
        owner=owner,
        parameters=(("LANG", "ADQL"), ("QUERY", "SELECT 'Vía Láctea ✨\0'\nFROM t"), ("UPLOAD", "a"), ("UPLOAD", "b")),
        phase=JobPhase.PENDING,
        created_at=created_at,
        destruction=destruction,
        duration_s=60,
    )
    if queued_s is None:
        return job
    return job.queue(Principal(owner, frozenset({"b", "a"}), frozenset({"q"})), created_at)


def add(store: SqlJobStore, *jobs: Job) -> None:
    for job in jobs:
        store.add(job, limit=MANY)


def claimed(store: SqlJobStore, holder: str = "here") -> str | None:
    job = store.claim(holder, LIMITS, TimeClass.SHORT)
    return None if job is None else job.id


def test_what_is_kept_comes_back_the_same(store: SqlJobStore) -> None:
    job = make("someone", queued_s=1)
    ended = job.complete(
        JobResult(execution_id="e", tables=("a.b",), row_count=2**40, size_bytes=2**41, overflow=True), NOON
    )
    add(store, job)
    assert store.get(job.id) == job
    assert store.change(job.id, lambda _: ended) == store.get(job.id) == ended
    assert (store.used_bytes("someone"), store.used_bytes("nobody")) == ((2**41, 2**41), (0, 2**41))


def test_a_change_of_phase_is_published_to_the_owner_and_no_other_change_is(
    store: SqlJobStore, database: Engine
) -> None:
    outbox = Outbox(database)
    before = outbox.latest_id()
    job = make("owner-of-events")
    add(store, job)
    store.change(job.id, lambda present: present.change_duration(5))
    store.change(job.id, lambda present: present.queue(Principal("owner-of-events"), NOON))
    assert claimed(store) == job.id
    store.change(job.id, lambda present: present.fail("no", NOON))
    store.delete(job.id)
    events = outbox.read(before, key="owner-of-events")
    assert {(event.kind, event.payload["id"]) for event in events} == {(JOB_PHASE, job.id)}
    assert [event.payload["phase"] for event in events] == ["PENDING", "QUEUED", "EXECUTING", "ERROR", "ARCHIVED"]


def test_an_edit_that_fails_changes_and_publishes_nothing(store: SqlJobStore, database: Engine) -> None:
    job = make("someone")
    add(store, job)
    before = Outbox(database).latest_id()

    def fail(_: Job) -> Job:
        raise LookupError

    with pytest.raises(LookupError):
        store.change(job.id, fail)
    assert store.get(job.id) == job
    assert Outbox(database).latest_id() == before


def test_jobs_are_listed_by_owner_phase_time_and_number(store: SqlJobStore) -> None:
    jobs = [make("someone", queued_s=seconds) for seconds in range(5)]
    add(store, *jobs, make("another", queued_s=9))
    store.change(jobs[1].id, lambda job: job.abort(NOON))
    store.change(jobs[3].id, lambda job: replace(job, phase=JobPhase.ARCHIVED))

    def listed(limit: int = MANY, **wanted: object) -> list[int]:
        found = store.list("someone", JobFilter(**wanted), limit=limit)
        return [[job.id for job in jobs].index(one.id) for one in found]

    assert listed() == [0, 1, 2, 4]
    assert listed(phases=frozenset({JobPhase.QUEUED, JobPhase.ARCHIVED})) == [0, 2, 3, 4]
    assert listed(after=NOON + timedelta(seconds=1)) == [2, 4]
    assert listed(last=2) == [4, 2]
    assert listed(limit=1) == [0]


def test_a_person_keeps_no_more_jobs_than_allowed_and_destroyed_ones_do_not_count(
    store: SqlJobStore, clock: Clock
) -> None:
    store.add(make("someone", destruction=NOON + timedelta(seconds=5)), limit=2)
    store.add(make("someone"), limit=2)
    store.add(make("another"), limit=2)
    with pytest.raises(LimitError, match="You keep 2 jobs, the most allowed"):
        store.add(make("someone"), limit=2)
    clock.forward(5)
    store.add(make("someone"), limit=2)


def test_a_job_past_its_destruction_is_gone_at_once_and_forgotten_when_asked(store: SqlJobStore, clock: Clock) -> None:
    due, stays = make("someone", queued_s=0, destruction=NOON + timedelta(seconds=5)), make("someone")
    add(store, due, stays)
    clock.forward(5)
    with pytest.raises(NotFoundError):
        store.get(due.id)
    assert [job.id for job in store.list("someone", JobFilter(), limit=9)] == [stays.id]
    assert claimed(store) is None
    assert store.known({due.id, stays.id, "x"}) == {due.id, stays.id}
    assert store.forget() == (due.id,)
    assert store.forget() == ()
    assert store.known({due.id, stays.id, "x"}) == {stays.id}


def test_the_oldest_job_of_the_person_with_fewest_running_goes_first_within_the_limits(store: SqlJobStore) -> None:
    flood = [make("flood", queued_s=seconds) for seconds in range(4)]
    late, later = make("late", queued_s=10), make("later", queued_s=11)
    add(store, *flood[::-1], later, late, make("late"))
    assert [claimed(store) for _ in range(4)] == [flood[0].id, late.id, later.id, None]
    store.change(late.id, lambda job: job.fail("no", NOON))
    assert claimed(store) == flood[1].id
    store.change(later.id, lambda job: job.fail("no", NOON))
    assert claimed(store) is None, "two of one person is the limit, though there is room for one more"


def test_a_claimed_job_is_held_until_its_lease_ends_and_then_taken_over_first(store: SqlJobStore, clock: Clock) -> None:
    job = make("someone", queued_s=0)
    add(store, job)
    clock.forward(1)
    first = store.claim("here", LIMITS, TimeClass.SHORT)
    assert first is not None
    assert (first.phase, first.holder, first.attempts, first.started_at) == (JobPhase.EXECUTING, "here", 1, clock())
    assert first.lease_until == clock() + timedelta(seconds=10)
    assert store.held("here") == {job.id}
    assert claimed(store, "there") is None
    clock.forward(9)
    store.beat({job.id: 77}, holder="there", lease_s=10)
    store.beat({job.id: 55}, holder="here", lease_s=10)
    assert store.used_bytes("someone") == (55, 55)
    clock.forward(9)
    add(store, make("another", queued_s=0))
    store.beat({}, holder="here", lease_s=10)
    clock.forward(1)
    second = store.claim("there", LIMITS, TimeClass.SHORT)
    assert second is not None
    assert (second.id, second.holder, second.attempts, second.size_bytes) == (job.id, "there", 2, 0)
    assert (store.held("here"), store.held("there")) == (frozenset(), {job.id})


def test_many_processes_claim_each_job_once(store: SqlJobStore) -> None:
    jobs = [make(f"person-{number}", queued_s=number) for number in range(20)]
    add(store, *jobs)
    limits = JobLimits(running_total=MANY)
    taken: list[str] = []

    def claim_all(holder: str) -> None:
        while (job := store.claim(holder, limits, TimeClass.SHORT)) is not None:
            taken.append(job.id)

    threads = [threading.Thread(target=claim_all, args=(f"process-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(job.id for job in jobs)


def test_a_job_that_is_aborted_while_others_claim_is_never_both(store: SqlJobStore) -> None:
    jobs = [make(f"person-{number}", queued_s=number) for number in range(20)]
    add(store, *jobs)
    limits = JobLimits(running_total=MANY)
    taken: set[str] = set()

    def claim_all() -> None:
        while (job := store.claim("here", limits, TimeClass.SHORT)) is not None:
            taken.add(job.id)

    def abort_all() -> None:
        for job in jobs[::-1]:
            store.change(job.id, lambda present: present.abort(NOON))

    threads = [threading.Thread(target=act) for act in (claim_all, claim_all, abort_all)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claim_all()
    assert {store.get(job.id).phase for job in jobs} == {JobPhase.ABORTED}
    assert {job.id for job in jobs if store.get(job.id).attempts} == taken
