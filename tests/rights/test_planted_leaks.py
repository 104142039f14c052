"""The search for canaries finds leaks that are planted on purpose, one of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from pachon.app import web
from pachon.core.errors import ForbiddenError, NotFoundError
from pachon.identity.models import Scope
from pachon.queries.adql.bind import Catalogue
from support.asgi import Request
from support.canaries import PROBES, Probe, Quarry
from support.history import WORDS, canaries
from support.hunt import OVERRIDING, Ground, Situation, somebody, walk
from support.job_hunt import walk_jobs

DAY = date(2026, 11, 25)
EVERYTHING, OPEN = frozenset(WORDS), frozenset({"hist_dr1"})
ADMIN = somebody("admin", DAY, EVERYTHING, scopes=[Scope.QUERY, Scope.ADMIN])
VISITOR = somebody("visitor", DAY, OPEN)
MEMBER = somebody("member", DAY, OPEN | {"hist_deep"}, groups=["deep-team"])
FORMER_MEMBER = somebody("member", DAY, OPEN)
Planting = Callable[[Ground, pytest.MonkeyPatch], Ground]


def an_error_text(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """A refusal that says of what."""
    releases = ground.real.services.releases
    table = releases.table

    def refuse(principal: Any, name: str, *given: Any) -> Any:
        try:
            return table(principal, name, *given)
        except NotFoundError:
            known = next((t for t in releases.tables(OVERRIDING) if t.qualified_name == name), None)
            raise ForbiddenError(f"{known.description} is not for you.") if known else NotFoundError("No.") from None

    patch.setattr(releases, "table", refuse)
    return ground


def a_suggestion(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """Nearest names among all tables instead of those of the reader."""
    releases = ground.real.services.releases
    suggestion = releases._suggestion

    def among_all(name: str, _: object) -> str:
        return suggestion(name, {table.qualified_name.lower(): table for table in releases.tables(OVERRIDING)})

    patch.setattr(releases, "_suggestion", among_all)
    return ground


def an_estimate(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """A count over all releases: a number that no list of canaries foresees."""
    status = web.status

    async def with_rows(services: Any) -> dict[str, Any]:
        rows = sum(table.row_count for table in services.releases.tables(OVERRIDING))
        return {**await status(services), "rows": rows}

    patch.setattr(web, "status", with_rows)
    return ground


def tap_schema(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """TAP_SCHEMA kept for whoever asked first."""
    queries = ground.real.services.queries
    kept = queries._extra_tables(OVERRIDING)
    patch.setattr(queries, "_extra_tables", lambda _: kept)
    return ground


def a_view(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """A name in an open schema behind which the rows of a hidden table lie."""
    services = ground.real.services
    catalogue, behind = services.queries._catalogue, services.releases.snapshot(OVERRIDING, _hidden(ground))
    view = replace(behind.table, schema="hist_dr1", name="overview")

    def with_view(principal: Any) -> Catalogue:
        known = catalogue(principal)

        def snapshot(name: str) -> Any:
            return behind if name == view.qualified_name else known.snapshot(name)

        return replace(known, tables={**known.tables, view.qualified_name: view}, snapshot=snapshot)

    patch.setattr(services.queries, "_catalogue", with_view)
    return ground


def an_etag(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """The tag of a tile compared before rights are: 304 tells who guesses right that it is there."""
    tiles = ground.real.services.tiles
    etag = tiles.etag
    patch.setattr(tiles, "etag", lambda _, *tile: etag(OVERRIDING, *tile))
    return ground


def a_cached_answer(ground: Ground, _: pytest.MonkeyPatch) -> Ground:
    """Answers kept by address and credentials, though groups change."""
    app, kept = ground.real.app, dict[Any, list[Any]]()

    async def remembering(scope: Any, receive: Any, send: Any) -> None:
        key = scope["path"], scope["query_string"], scope["method"], dict(scope["headers"]).get(b"authorization")
        if key not in kept:
            said: list[Any] = []

            async def keep(message: Any) -> None:
                said.append(message)

            await app(scope, receive, keep)
            kept[key] = said
        for message in kept[key]:
            await send(message)

    return _behind(ground, remembering)


def a_range(ground: Ground, _: pytest.MonkeyPatch) -> Ground:
    """The first bytes of a file, to whoever asks for a range."""

    async def serving(scope: Any, receive: Any, send: Any) -> None:
        if dict(scope["headers"]).get(b"range") and "hist_deep" in scope["path"]:
            body = max(canaries("hist_deep"), key=len)
            await send({"type": "http.response.start", "status": 206, "headers": []})
            await send({"type": "http.response.body", "body": b"title: " + body})
        else:
            await app(scope, receive, send)

    app = ground.real.app
    return _behind(ground, serving)


def a_head(ground: Ground, _: pytest.MonkeyPatch) -> Ground:
    """HEAD answered by a shortcut that asks no policy."""

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "HEAD" and "hist_deep" in scope["path"]:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"65664")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    app = ground.real.app
    return _behind(ground, hasty)


def the_log(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """What the administrator ran, shown to everybody."""
    executions = ground.real.services.executions
    listed = executions.list
    patch.setattr(executions, "list", lambda _, **page: listed("admin", **page))
    return ground


def the_events(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """The ends of everybody's runs, told to everybody."""
    events = ground.real.services.events
    follow = events.follow
    patch.setattr(events, "follow", lambda after, **_: follow(after))
    return ground


def a_job(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """The jobs of others, told to whoever knows or guesses the id of one."""
    patch.setattr("pachon.queries.jobs.service._owned", lambda job, _: job)
    return ground


def _hidden(ground: Ground) -> str:
    return (
        next(release for release in ground.real.store.releases() if release.id == "hist_deep").tables[0].qualified_name
    )


def _behind(ground: Ground, app: Any) -> Ground:
    return replace(ground, real=replace(ground.real, app=app))


def asks_tap_schema(quarry: Quarry) -> list[Request]:
    """Of the many queries there are, those of TAP_SCHEMA."""
    return [request for request in PROBES["/api/tap/sync"](quarry) if "tap_schema" in request.text]


def reads_a_job(quarry: Quarry) -> list[Request]:
    """Without those requests that would delete it."""
    return [request for request in PROBES["/api/tap/async/{job_id}"](quarry) if request.method == "GET"]


@dataclass(frozen=True)
class Case:
    """A leak, the probes to which it shows, and who comes there, in order."""

    plant: Planting
    probes: tuple[Probe, ...]
    situations: tuple[Situation, ...] = (ADMIN, VISITOR)


CASES = (
    Case(an_error_text, (PROBES["/api/scs/{table}"],)),
    Case(a_suggestion, (PROBES["/api/scs/{table}"],)),
    Case(an_estimate, (PROBES["/api/status"],)),
    Case(tap_schema, (asks_tap_schema,)),
    Case(a_view, (PROBES["/api/status"],)),
    Case(an_etag, (PROBES["/api/tiles/{table}"],)),
    Case(a_cached_answer, (PROBES["/api/releases"], PROBES["/api/releases/{release_id}"]), (MEMBER, FORMER_MEMBER)),
    Case(a_range, (PROBES["/api/tiles/{table}"],)),
    Case(a_head, (PROBES["/api/tiles/{table}"],)),
    Case(the_log, (PROBES["/api/queries/executions"],)),
    Case(the_events, (PROBES["/api/queries/events"],)),
    Case(a_job, (reads_a_job,)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.plant.__name__)
def test_a_planted_leak_is_found(ground: Ground, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    assert leaks(ground, case) == []
    planted = leaks(case.plant(ground, monkeypatch), case)
    assert [leak for leak in planted if f" as {case.situations[-1]}" in leak]


def test_a_result_that_is_handed_out_without_asking_again_is_found(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = (MEMBER, FORMER_MEMBER)
    assert asyncio.run(walk_jobs(ground, way)).findings.leaks == []
    monkeypatch.setattr(ground.real.services.releases, "out_of_reach", lambda *_: ())
    planted = asyncio.run(walk_jobs(ground, way)).findings.leaks
    assert [leak for leak in planted if f"/results/result {{}} as {FORMER_MEMBER}" in leak]


def leaks(ground: Ground, case: Case) -> list[str]:
    return asyncio.run(walk(ground, case.situations, case.probes)).leaks
