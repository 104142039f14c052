"""Jobs in the state database."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import LimitError, NotFoundError
from pachon.queries.estimate.models import TimeClass
from pachon.queries.jobs.models import Job, JobLimits, JobPhase
from pachon.queries.jobs.storage import JOB_PHASE, InLine, JobFilter
from pachon.state.database import reading, writing
from pachon.state.metadata import METADATA, Moment, Words
from pachon.state.outbox import publish

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("owner", Words, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("queued_at", Moment),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("destruction", Moment, nullable=False),
    Column("duration_s", Integer, nullable=False),
    Column("holder", Words, nullable=False),
    Column("lease_until", Moment),
    Column("attempts", Integer, nullable=False),
    Column("time_class", String(16), nullable=False, server_default=TimeClass.SHORT),
    Column("expected_s", Float, nullable=False, server_default="0"),
    Column("execution_id", Words),
    Column("tables", JSON, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("overflow", Boolean, nullable=False),
    Column("error", Words),
    Column("client", Words),
    Index(None, "owner", "id"),
    Index(None, "phase", "queued_at"),
    Index(None, "destruction"),
)
_CLAIM_LOCK = 0x70616368_6F6E0003
_TAKE_TURN = text(f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})")


class SqlJobStore:
    """Keeps the promise of `queries.jobs.storage.JobStore` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine, *, now: Clock = clock.now) -> None:
        self._engine = engine
        self._now = now

    def add(self, job: Job, *, limit: int) -> None:
        """Keep a new job, within the number its owner may keep."""
        own = select(func.count()).where(JOBS.c.owner == job.owner, JOBS.c.destruction > self._now())
        with writing(self._engine) as connection:
            _take_turn(connection)
            if (connection.scalar(own) or 0) >= limit:
                raise _too_many(job.owner, limit)
            connection.execute(insert(JOBS), _to_row(job))
            _publish(connection, job, job.phase)

    def get(self, job_id: str) -> Job:
        """A job, whoever owns it."""
        with reading(self._engine) as connection:
            return self._one(connection, job_id, select(JOBS))

    def list(self, owner: str, wanted: JobFilter, *, limit: int) -> tuple[Job, ...]:
        """At most `limit` jobs of this owner."""
        jobs = select(JOBS).where(JOBS.c.owner == owner, JOBS.c.destruction > self._now())
        if wanted.phases:
            jobs = jobs.where(JOBS.c.phase.in_([phase.value for phase in wanted.phases]))
        else:
            jobs = jobs.where(JOBS.c.phase != JobPhase.ARCHIVED.value)
        if wanted.after is not None:
            jobs = jobs.where(JOBS.c.created_at > wanted.after)
        if wanted.last is None:
            jobs = jobs.order_by(JOBS.c.created_at, JOBS.c.id).limit(limit)
        else:
            jobs = jobs.order_by(JOBS.c.created_at.desc(), JOBS.c.id.desc()).limit(min(wanted.last, limit))
        with reading(self._engine) as connection:
            return tuple(_from_row(row) for row in connection.execute(jobs).mappings())

    def change(self, job_id: str, edit: Callable[[Job], Job]) -> Job:
        """Replace a job by what `edit` makes of it; on PostgreSQL its row is locked meanwhile."""
        with writing(self._engine) as connection:
            old = self._one(connection, job_id, select(JOBS).with_for_update())
            new = edit(old)
            _replace(connection, old, new)
        return new

    def delete(self, job_id: str) -> None:
        """Forget a job; whoever waits for it learns so."""
        with writing(self._engine) as connection:
            row = connection.execute(select(JOBS).where(JOBS.c.id == job_id).with_for_update()).mappings().one_or_none()
            if row is not None:
                connection.execute(delete(JOBS).where(JOBS.c.id == job_id))
                _publish(connection, _from_row(row), JobPhase.ARCHIVED)

    def claim(self, holder: str, limits: JobLimits, time_class: TimeClass) -> Job | None:
        """Take the next job of a class to execute; processes that claim take turns."""
        now = self._now()
        with writing(self._engine) as connection:
            _take_turn(connection)
            row = connection.execute(self._next(limits, time_class)).mappings().one_or_none()
            if row is None:
                return None
            old = _from_row(row)
            new = dataclasses.replace(
                old,
                phase=JobPhase.EXECUTING,
                started_at=now,
                holder=holder,
                lease_until=now + timedelta(seconds=limits.lease_s),
                attempts=old.attempts + 1,
                size_bytes=0,
            )
            _replace(connection, old, new)
        return new

    def line(self, time_class: TimeClass, *, limit: int) -> tuple[InLine, ...]:
        """The jobs of a class that execute, then those that wait."""
        columns = select(JOBS.c.id, JOBS.c.owner, JOBS.c.started_at, JOBS.c.expected_s)
        these = columns.where(JOBS.c.time_class == time_class.value, JOBS.c.destruction > self._now()).limit(limit)
        by_age = these.order_by(JOBS.c.queued_at, JOBS.c.id)
        with reading(self._engine) as connection:
            return tuple(
                InLine(**row)
                for phase in (JobPhase.EXECUTING, JobPhase.QUEUED)
                for row in connection.execute(by_age.where(JOBS.c.phase == phase.value)).mappings()
            )

    def held(self, holder: str) -> frozenset[str]:
        """Ids of the jobs that a process holds."""
        mine = select(JOBS.c.id).where(*_held_by(holder), JOBS.c.destruction > self._now())
        with reading(self._engine) as connection:
            return frozenset(connection.scalars(mine))

    def beat(self, sizes: Mapping[str, int], *, holder: str, lease_s: float) -> None:
        """A sign of life for the jobs a process holds."""
        until = self._now() + timedelta(seconds=lease_s)
        with writing(self._engine) as connection:
            for job_id, size_bytes in sizes.items():
                mine = update(JOBS).where(JOBS.c.id == job_id, *_held_by(holder))
                connection.execute(mine.values(lease_until=until, size_bytes=size_bytes))

    def used_bytes(self, owner: str) -> tuple[int, int]:
        """Size of the results of this owner, and of all."""
        sizes = select(func.coalesce(func.sum(JOBS.c.size_bytes), 0))
        with reading(self._engine) as connection:
            own, everybodys = connection.scalar(sizes.where(JOBS.c.owner == owner)), connection.scalar(sizes)
        return int(own or 0), int(everybodys or 0)

    def forget(self) -> tuple[str, ...]:
        """Delete the jobs whose destruction has come."""
        due = select(JOBS.c.id).where(JOBS.c.destruction <= self._now())
        with reading(self._engine) as connection:
            job_ids = tuple(connection.scalars(due))
        for job_id in job_ids:
            self.delete(job_id)
        return job_ids

    def known(self, job_ids: Collection[str]) -> frozenset[str]:
        """Which of these jobs there are."""
        with reading(self._engine) as connection:
            return frozenset(connection.scalars(select(JOBS.c.id).where(JOBS.c.id.in_(job_ids))))

    def _one(self, connection: Connection, job_id: str, jobs: Select[Any]) -> Job:
        wanted = jobs.where(JOBS.c.id == job_id, JOBS.c.destruction > self._now())
        row = connection.execute(wanted).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"There is no job '{job_id}' of yours; it may have been destroyed.")
        return _from_row(row)

    def _next(self, limits: JobLimits, time_class: TimeClass) -> Select[Any]:
        """The job of a class to execute next: an abandoned one, else by fair order; none over the limits."""
        now = self._now()
        in_class = JOBS.c.time_class == time_class.value
        executing = and_(in_class, JOBS.c.phase == JobPhase.EXECUTING.value, JOBS.c.lease_until > now)
        abandoned = and_(JOBS.c.phase == JobPhase.EXECUTING.value, JOBS.c.lease_until <= now)
        by_person = select(JOBS.c.owner, func.count().label("running")).where(executing).group_by(JOBS.c.owner)
        persons = by_person.subquery()
        running = func.coalesce(persons.c.running, 0)
        in_all = select(func.count()).select_from(JOBS).where(executing).scalar_subquery()
        return (
            select(JOBS)
            .select_from(JOBS.outerjoin(persons, persons.c.owner == JOBS.c.owner))
            .where(
                in_class,
                or_(abandoned, JOBS.c.phase == JobPhase.QUEUED.value),
                JOBS.c.destruction > now,
                running < limits.running_per_person,
                in_all < limits.running_total,
            )
            .order_by(JOBS.c.phase == JobPhase.QUEUED.value, running, JOBS.c.queued_at, JOBS.c.id)
            .limit(1)
            .with_for_update(of=JOBS)
        )


def _take_turn(connection: Connection) -> None:
    """SQLite has one writer at a time; on PostgreSQL a lock that ends with the transaction makes it so."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_TURN)


def _too_many(owner: str, limit: int) -> LimitError:
    if owner:
        return LimitError(f"You keep {limit} jobs, the most allowed; delete some that are not needed any more.")
    return LimitError(f"Visitors who are not logged in keep {limit} jobs, the most allowed; log in to have your own.")


def _held_by(holder: str) -> tuple[Any, ...]:
    return JOBS.c.holder == holder, JOBS.c.phase == JobPhase.EXECUTING.value


def _replace(connection: Connection, old: Job, new: Job) -> None:
    if new == old:
        return
    connection.execute(update(JOBS).where(JOBS.c.id == new.id).values(_to_row(new)))
    if new.phase is not old.phase:
        _publish(connection, new, new.phase)


def _publish(connection: Connection, job: Job, phase: JobPhase) -> None:
    publish(connection, JOB_PHASE, job.owner, {"id": job.id, "phase": phase.value, "client": job.client})


def _to_row(job: Job) -> dict[str, Any]:
    return {field.name: getattr(job, field.name) for field in dataclasses.fields(job)}


def _from_row(row: RowMapping) -> Job:
    lists = {name: tuple(row[name]) for name in ("groups", "scopes", "tables")}
    parameters = tuple((name, value) for name, value in row["parameters"])
    told = {"parameters": parameters, "phase": JobPhase(row["phase"]), "client": row["client"] or ""}
    return Job(**{**row, **lists, **told, "time_class": TimeClass(row["time_class"])})
