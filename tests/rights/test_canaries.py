"""Every byte that leaves the platform, searched for what the reader may not see."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from pachon.identity.models import Scope
from support.canaries import NO_PROBE, PROBES, routes
from support.hunt import Findings, Ground, Situation, nobody, somebody, walk
from support.tiny_history import WORDS, canaries

DAY_BEFORE, DAY_AFTER = date(2027, 6, 14), date(2027, 6, 15)
"""Release `hist_dr2` becomes public on the second."""
EVERYTHING = frozenset(WORDS)
OPEN = {DAY_BEFORE: frozenset({"hist_dr1"}), DAY_AFTER: frozenset({"hist_dr1", "hist_dr2"})}
HOLDERS, DEEP_TEAM = "rights-holders", "deep-team"


def situations(day: date) -> tuple[Situation, ...]:
    """From those who may see most to those who may see least, so that every cache is filled by others before."""
    return (
        somebody("admin", day, EVERYTHING, scopes=[Scope.QUERY, Scope.ADMIN]),
        somebody("novice", day, frozenset({"hist_dr1", "hist_dr2", "hist_prompt"}), groups=[HOLDERS]),
        somebody("member", day, OPEN[day] | {"hist_deep"}, groups=[DEEP_TEAM]),
        somebody("visitor", day, OPEN[day]),
        somebody("other-service", day, OPEN[day], groups=[HOLDERS, DEEP_TEAM], scopes=[]),
        nobody(day, OPEN[day]),
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


def test_everybody_who_may_query_finds_every_canary_that_is_theirs_to_see(found: Findings) -> None:
    asking = [each for day in OPEN for each in situations(day) if not each.person or Scope.QUERY in each.scopes]
    for situation in asking:
        theirs = {canary for release_id in situation.may_see for canary in canaries(release_id)}
        assert theirs - found.shown[str(situation)] == set(), situation
