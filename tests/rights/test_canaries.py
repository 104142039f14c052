"""Every byte that leaves the platform, searched for what the reader may not see."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from pachon.identity.models import Scope
from pachon.queries.saved.models import Audience
from pachon.queries.saved.service import Reader
from support.asgi import Request, ask
from support.canaries import NO_PROBE, PROBES, routes
from support.history import EMBARGO_ENDS_AT, WORDS, canaries, embargoed_canaries
from support.hunt import Findings, Ground, Situation, Visit, enter, nobody, somebody, walk
from support.job_hunt import KEEPER, walk_jobs

DAY_BEFORE, DAY_AFTER = date(2027, 6, 14), date(2027, 6, 15)
"""Release `hist_dr2` becomes public on the second."""
EVERYTHING = frozenset(WORDS)
OPEN = {DAY_BEFORE: frozenset({"hist_dr1"}), DAY_AFTER: frozenset({"hist_dr1", "hist_dr2"})}
HOLDERS, DEEP_TEAM = "rights-holders", "deep-team"


def situations(day: date, open_to_all: frozenset[str] | None = None) -> tuple[Situation, ...]:
    """From those who may see most to those who may see least, so that every cache is filled by others before."""
    is_open = OPEN[day] if open_to_all is None else open_to_all
    return (
        somebody("admin", day, EVERYTHING, scopes=[Scope.QUERY, Scope.ADMIN]),
        somebody("novice", day, EVERYTHING - {"hist_deep"}, groups=[HOLDERS]),
        somebody("member", day, is_open | {"hist_deep"}, groups=[DEEP_TEAM]),
        somebody("visitor", day, is_open),
        somebody("other-service", day, is_open, groups=[HOLDERS, DEEP_TEAM], scopes=[]),
        nobody(day, is_open),
    )


def test_every_route_has_a_probe(ground: Ground) -> None:
    known = routes(ground.real.app)
    assert dict.fromkeys(known - set(PROBES), NO_PROBE) == {}
    assert len(known) > 20


@pytest.fixture(scope="module")
def found(ground: Ground) -> Findings:
    return asyncio.run(walk(ground, [*situations(DAY_BEFORE), *situations(DAY_AFTER)]))


def test_no_answer_tells_anything_of_a_release_that_the_reader_may_not_see(found: Findings) -> None:
    assert found.leaks == []


def test_jobs_of_ones_own_tell_nothing_of_a_release_that_one_may_not_see(ground: Ground) -> None:
    _, *others = situations(DAY_BEFORE)
    asking = [each for each in others if not each.person or Scope.QUERY in each.scopes]
    walked = asyncio.run(walk_jobs(ground, asking))
    assert walked.findings.leaks == []


def test_a_query_that_is_shared_with_everybody_shows_its_rows_to_whoever_may_read_them_and_to_nobody_else(
    ground: Ground,
) -> None:
    """What people wrote is told, whatever it names; what a run found is not. The archived release has no rows."""
    saved, findings, statuses = ground.real.services.saved, Findings(), dict[tuple[str, str], int]()
    shares = {
        query_id: saved.queries.share(Reader(KEEPER), query_id, Audience.PUBLIC)[0].id
        for query_id in ground.saved.values()
    }
    for situation in situations(DAY_BEFORE)[1:]:
        enter(ground, situation)
        visit = Visit(situation, findings, set())
        for release_id, query_id in ground.saved.items():
            text = saved.queries.get(Reader(KEEPER), query_id).newest.content.adql
            visit.remember(Request(text))
            for leaf in ("", "/versions", "/versions/1", "/result/count", "/diff?from=1", "/result"):
                path, _, query = f"/api/queries/{query_id}{leaf}".partition("?")
                given = (("from", "1"),) if query else ()
                request = Request(path, given)
                answer = asyncio.run(ask(ground.real.app, request, situation.credentials))
                visit.judge(request, answer)
                statuses[str(situation), release_id] = answer.status
    for query_id, share_id in shares.items():
        saved.queries.unshare(Reader(KEEPER), query_id, share_id)
    assert findings.leaks == []
    asking = [each for each in situations(DAY_BEFORE)[1:] if not each.person or Scope.QUERY in each.scopes]
    found = [name for name in ground.saved if name != "hist_dr1"]
    expected = {(str(each), name): 200 if name in each.may_see else 403 for each in asking for name in found}
    expected |= {(str(each), "hist_dr1"): 404 for each in asking}
    assert {key: status for key, status in statuses.items() if key in expected} == expected


def test_an_image_under_embargo_is_for_nobody_but_the_administrator(ground: Ground) -> None:
    day = EMBARGO_ENDS_AT.date()
    probes = [PROBES[path] for path in PROBES if path.startswith("/api/releases")]
    admin, *others = situations(day, OPEN[DAY_BEFORE])
    found = asyncio.run(walk(ground, [admin, *others], probes))
    assert found.leaks == []
    assert set(embargoed_canaries()) <= found.shown[str(admin)]


def test_everybody_who_may_query_finds_every_canary_that_is_theirs_to_see(found: Findings) -> None:
    asking = [each for day in OPEN for each in situations(day) if not each.person or Scope.QUERY in each.scopes]
    for situation in asking:
        theirs = {canary for release_id in situation.may_see for canary in canaries(release_id)}
        assert theirs - found.shown[str(situation)] == set(), situation
