"""Who leaves a group loses access within a minute at every door, and who joins gains it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pytest

from pachon.app.settings import IdentitySettings
from pachon.identity.hub import HubPrincipals
from pachon.portal import state
from support.asgi import Answer, Request, ask
from support.canaries import PROBES, as_told, requests
from support.history import canaries
from support.hub_double import HubDouble, running_hub
from support.hunt import Findings, Ground, nobody, somebody, walk
from support.job_hunt import JobWalk, walk_jobs
from support.worlds import People

DAY = date(2026, 11, 25)
OPEN = frozenset({"hist_dr1"})
OUTSIDE = somebody("member", DAY, OPEN)
INSIDE = somebody("member", DAY, OPEN | {"hist_deep"}, groups=["deep-team"])
LONGEST_S = 60.0
PORTAL_S = 30.0
"""The Portal believes the Web APIs for as long, which takes from the minute that there is."""


@dataclass
class HeldSeconds:
    """A monotonic clock that stands."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class HubPeople(People):
    """People whom a hub knows: it is told what `know` is told, and a minute passes, less what the Portal takes."""

    hub: HubDouble = field(default_factory=HubDouble)
    seconds: HeldSeconds = field(default_factory=HeldSeconds)

    def know(self, name: str, **given: tuple[str, ...]) -> None:
        super().know(name, **given)
        self.hub.know(name, name, **{key: tuple(value) for key, value in given.items()})
        self.seconds.now_s += LONGEST_S - PORTAL_S


async def change_groups(ground: Ground, hub: HubDouble) -> tuple[Findings, JobWalk]:
    """Walk as somebody outside a group, then inside it, then outside again, through the real cache of identities."""
    people = HubPeople(hub=hub)
    slowest = IdentitySettings(cache_s=LONGEST_S - PORTAL_S)
    principals = HubPrincipals(hub.url, cache_s=slowest.cache_s, monotonic=people.seconds)
    states = ground.real.app.state, ground.twin.app.state
    before = tuple(each.services for each in states)
    for each, principals_of_it in zip(states, (principals, people), strict=True):
        each.services = replace(each.services, principals=principals_of_it)
    try:
        walking, way = replace(ground, people=people), [OUTSIDE, INSIDE, OUTSIDE]
        return await walk(walking, way), await walk_jobs(walking, way)
    finally:
        for each, services in zip(states, before, strict=True):
            each.services = services
        await principals.aclose()


def test_a_change_of_groups_acts_within_a_minute_at_every_door(ground: Ground) -> None:
    with running_hub() as hub:
        found, jobs = asyncio.run(change_groups(ground, hub))
    assert found.leaks == jobs.findings.leaks == []
    assert set(canaries("hist_deep")) <= found.shown[str(INSIDE)]
    (_, none), (_, outside), (_, after) = jobs.statuses
    results_made_inside = after[len(outside) :]
    assert none == []
    assert (outside.count(200), results_made_inside.count(200), results_made_inside.count(403)) == (1, 0, 2)


def test_the_portal_forgets_tiles_within_its_part_of_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HeldSeconds()
    monkeypatch.setattr(state.time, "monotonic", clock)
    cache, key = state.TileCache(), ("person", "hist_deep.table", 0, 4)
    cache.put(key, np.ones(4))
    assert cache.get(key) is not None
    clock.now_s += PORTAL_S + 0.1
    assert cache.get(key) is None


def test_no_cache_on_the_way_gives_the_answer_of_one_person_to_another(ground: Ground) -> None:
    people = nobody(DAY, OPEN), somebody("novice", DAY, frozenset(), groups=["rights-holders"])
    ground.people.know("novice", groups=people[1].groups)
    asked = [request for request in requests(PROBES.values(), ground.quarries()) if request.method == "GET"]

    async def both(request: Request) -> tuple[Answer, ...]:
        return tuple([await ask(ground.real.app, request, person.credentials) for person in people])

    async def unmarked() -> list[str]:
        pairs = [(request, await both(request)) for request in asked if request.path != "/api/tap/sync"]
        return [str(request) for request, pair in pairs if differ(request, pair) and not all(map(is_marked, pair))]

    assert asyncio.run(unmarked()) == []


def differ(request: Request, pair: tuple[Answer, ...]) -> bool:
    one, two = (as_told(answer, request) for answer in pair)
    return {one[0], two[0]} == {200} and one[2] != two[2]


def is_marked(answer: Answer) -> bool:
    """Whether a cache knows on what the answer depends, and that it must ask again before it uses it."""
    varies = {name.strip().lower() for name in answer.header("vary").split(",")}
    return {"authorization", "cookie"} <= varies and answer.header("cache-control") in {"private, no-cache", "no-store"}
