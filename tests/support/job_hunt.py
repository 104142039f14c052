"""Walks people and days through jobs of their own, which outlive the rights with which they were made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.queries.jobs.service import JobService
from pachon.queries.saved.service import Reader
from support.asgi import Answer, Pairs, Request, ask
from support.canaries import Quarry
from support.history import GROUPS, WORDS
from support.hunt import Findings, Ground, Situation, Visit, enter
from support.worlds import World

KEEPER = Principal("keeper", frozenset().union(*GROUPS.values()), frozenset({Scope.QUERY, Scope.ADMIN}))
"""Made a job of every release, and is nobody in a walk."""
LEAVES = ("", "/error", "/parameters", "/results", "/results/result")
_ENDS_WITHIN_S = 30.0


def keep_jobs(real: World) -> Mapping[str, str]:
    """Have the keeper make a job of a table of each release, and return their ids when all have ended."""
    service, jobs = real.services.jobs.jobs, {}
    for release in real.store.releases():
        if release.id in WORDS:
            table = next(each for each in release.tables if each.has_position)
            given = (("LANG", "ADQL"), ("QUERY", f"SELECT * FROM {table.qualified_name}"), ("RESPONSEFORMAT", "csv"))
            jobs[release.id] = service.create(KEEPER, given, run=True).id
    for job_id in jobs.values():
        asyncio.run(_ended(service, KEEPER, job_id))
    return jobs


def keep_queries(real: World, jobs: Mapping[str, str]) -> Mapping[str, str]:
    """Have the keeper save a query from each job, with its rows if it found any, and return their ids."""
    saved, kept = real.services.saved, {}
    for release_id, job_id in jobs.items():
        content, run, _ = saved.runs.of_job(KEEPER, job_id)
        query = saved.queries.create(KEEPER, content, run=run)
        assert saved.query(Reader(KEEPER), query).state in {"COMPLETED", "ERROR"}
        kept[release_id] = query.id
    return kept


@dataclass
class _Made:
    """The jobs of a person in order: what was asked, and where they are in the installation and in its twin."""

    asked: list[Request] = field(default_factory=list)
    real: list[str] = field(default_factory=list)
    twin: list[str] = field(default_factory=list)


@dataclass
class JobWalk:
    """What became of jobs: findings as of any walk, and for each situation the statuses of results that were there."""

    findings: Findings = field(default_factory=Findings)
    statuses: list[tuple[str, list[int]]] = field(default_factory=list)


async def walk_jobs(ground: Ground, situations: Sequence[Situation]) -> JobWalk:
    """In each situation, in order, look at the jobs that this person made in earlier ones, then make more."""
    walked, made, said = JobWalk(), dict[str, _Made](), dict[str, set[bytes]]()
    for situation in situations:
        enter(ground, situation)
        visit = Visit(situation, walked.findings, said.setdefault(situation.person, set()))
        theirs = made.setdefault(situation.person, _Made())
        for request in theirs.asked:
            visit.remember(request)
        earlier = await _look(ground, visit, theirs, first=0)
        walked.statuses.append((str(situation), earlier))
        count = len(theirs.real)
        for request in _questions(ground.quarries()):
            for world, paths in ((ground.real, theirs.real), (ground.twin, theirs.twin)):
                answer = await ask(world.app, request, situation.credentials)
                paths.append(await _path(world, ground, situation, answer))
            visit.judge(request, answer)
            theirs.asked.append(request)
        await _look(ground, visit, theirs, first=count)
    return walked


def _questions(quarries: Sequence[Quarry]) -> Iterator[Request]:
    for adql in (
        *(f"SELECT * FROM {q.name}" for q in quarries),
        *(f"SELECT {q.near_column} FROM {q.open_table}" for q in quarries),
        "SELECT * FROM tap_schema.columns",
    ):
        given: Pairs = (("LANG", "ADQL"), ("QUERY", adql), ("RESPONSEFORMAT", "csv"), ("PHASE", "RUN"))
        yield Request("/api/tap/async", method="POST", form=given)


async def _path(world: World, ground: Ground, situation: Situation, answer: Answer) -> str:
    """Where a job is that was just made, when it has ended."""
    path = "/api/" + answer.header("location").partition("/api/")[2]
    principal = ground.people.known.get(situation.person, ANONYMOUS)
    await _ended(world.services.jobs.jobs, principal, path.rpartition("/")[2])
    return path


async def _ended(service: JobService, principal: Principal, job_id: str) -> None:
    deadline_s = time.monotonic() + _ENDS_WITHIN_S
    while not service.get(principal, job_id).phase.is_over:
        assert time.monotonic() < deadline_s, f"job {job_id} does not end"
        await asyncio.sleep(0.005)


async def _look(ground: Ground, visit: Visit, made: _Made, *, first: int) -> list[int]:
    """Ask everything about these jobs, from the first on, and compare; the statuses of their results."""
    statuses, credentials = [], visit.situation.credentials
    for real, twin in zip(made.real[first:], made.twin[first:], strict=True):
        for leaf in LEAVES:
            request = Request(f"{real}{leaf}")
            answer = await ask(ground.real.app, request, credentials)
            visit.judge(request, answer)
            visit.compare(request, answer, await ask(ground.twin.app, Request(f"{twin}{leaf}"), credentials))
        statuses.append(answer.status)
    return statuses
