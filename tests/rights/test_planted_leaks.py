"""The search for canaries finds leaks that are planted on purpose, one of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from fastapi import Request as HttpRequest

from pachon.app import web
from pachon.core.errors import ForbiddenError, NotFoundError
from pachon.identity.models import Principal, Scope
from pachon.queries.adql.bind import Catalogue
from pachon.releases import handlers
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access
from support.asgi import Request
from support.canaries import PROBES, Probe, Quarry
from support.history import WORDS
from support.hunt import OVERRIDING, Ground, Situation, somebody, walk
from support.job_hunt import walk_jobs

DAY = date(2026, 11, 25)
EVERYTHING, OPEN = frozenset(WORDS), frozenset({"hist_dr1"})
ADMIN = somebody("admin", DAY, EVERYTHING, scopes=[Scope.QUERY, Scope.ADMIN])
VISITOR = somebody("visitor", DAY, OPEN)
MEMBER = somebody("member", DAY, OPEN | {"hist_deep"}, groups=["deep-team"])
HOLDER = somebody("novice", DAY, EVERYTHING - {"hist_deep"}, groups=["rights-holders"])
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


def a_total(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """Rows of all releases together: a number that no list of canaries foresees."""
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


def a_cached_tile(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """Tiles kept by table and place, and handed out to whoever asks next."""
    tiles = ground.real.services.tiles
    patch.setattr(tiles, "etag", _kept(tiles.etag))
    patch.setattr(tiles, "counts", _kept(tiles.counts))
    return ground


def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    kept = dict[Any, Any]()

    def remembering(principal: Principal, *asked: Any) -> Any:
        if asked not in kept:
            kept[asked] = function(principal, *asked)
        return kept[asked]

    return remembering


def a_range(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """Bytes of a file, to whoever asks for a range."""
    _let_in(patch, lambda request: "range" in request.headers)
    return ground


def a_head(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """HEAD of a file answered by a shortcut that asks no policy."""
    _let_in(patch, lambda request: bool(request.state.is_head))
    return ground


def _let_in(patch: pytest.MonkeyPatch, applies: Callable[[HttpRequest], bool]) -> None:
    """Decide on some requests for files as if an administrator asked."""
    file = handlers._Caller.file

    async def hasty(caller: handlers._Caller, *asked: str) -> Any:
        return await file(replace(caller, principal=OVERRIDING) if applies(caller.request) else caller, *asked)

    patch.setattr(handlers._Caller, "file", hasty)


def a_refused_file(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """An image under embargo that is refused, with the time, instead of not being there."""
    releases = ground.real.services.releases
    file = releases.file

    def refuse(principal: Principal, release_id: str, path: str) -> Any:
        release = releases.release(principal, release_id, Access.FILE)
        decision = releases._decide_file(principal, release, releases._store.file(release, path)[0], at=ground.now())
        if not decision.allowed:
            raise ForbiddenError(decision.reason)
        return file(principal, release_id, path)

    patch.setattr(releases, "file", refuse)
    return ground


def a_count(ground: Ground, patch: pytest.MonkeyPatch) -> Ground:
    """Images under embargo counted with the others."""
    patch.setattr(ReleaseService, "shown", lambda _, __, release: release)
    return ground


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


def asks_tap_schema(quarry: Quarry) -> list[Request]:
    """Of the many queries there are, those of TAP_SCHEMA."""
    return [request for request in PROBES["/api/tap/sync"](quarry) if "tap_schema" in request.text]


def reads_a_job(quarry: Quarry) -> list[Request]:
    """Without those requests that would delete it."""
    return [request for request in PROBES["/api/tap/async/{job_id}"](quarry) if request.method == "GET"]


def asks_files(quarry: Quarry) -> list[Request]:
    """Of the many files there are, images, by `HEAD` and `GET`, and ranges of a table's."""
    asked = PROBES["/api/releases/{release_id}/files/{path:path}"](quarry)
    return [request for request in asked if "images/" in request.path or dict(request.headers).get("range")]


@dataclass(frozen=True)
class Case:
    """A leak, the probes to which it shows, and who comes there, in order."""

    plant: Planting
    probes: tuple[Probe, ...]
    situations: tuple[Situation, ...] = (ADMIN, VISITOR)


CASES = (
    Case(an_error_text, (PROBES["/api/scs/{table}"],)),
    Case(a_suggestion, (PROBES["/api/scs/{table}"],)),
    Case(a_total, (PROBES["/api/status"],)),
    Case(tap_schema, (asks_tap_schema,)),
    Case(a_view, (PROBES["/api/status"],)),
    Case(an_etag, (PROBES["/api/tiles/{table}"],)),
    Case(a_cached_tile, (PROBES["/api/tiles/{table}"],), (MEMBER, FORMER_MEMBER)),
    Case(a_range, (asks_files,)),
    Case(a_head, (asks_files,)),
    Case(a_refused_file, (asks_files,), (ADMIN, HOLDER)),
    Case(a_count, (PROBES["/api/releases"],), (ADMIN, HOLDER)),
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
