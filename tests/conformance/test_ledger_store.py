"""Every `LedgerStore` keeps these promises."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta

import pytest
from sqlalchemy import Engine, delete

from pachon.allocation.models import Books, Claim, Observation, PodName
from pachon.allocation.sql_storage import OBSERVED, RESERVATIONS, SqlLedgerStore
from pachon.core.errors import QuotaError
from pachon.core.resources import Resources
from pachon.state.database import writing
from support.ledgers import CAPACITY, NOON, Clock, anything, claim, live, reserve_all, size

EARLIER = NOON - timedelta(seconds=120)
ROOM_FOR = 10
"""A tenth of 100 CPU, for labs with one."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Engine, clock: Clock) -> SqlLedgerStore:
    with writing(database) as connection:
        connection.execute(delete(RESERVATIONS))
        connection.execute(delete(OBSERVED))
    return SqlLedgerStore(database, now=clock)


def refuse(_claim: Claim, books: Books) -> None:
    raise QuotaError(f"{books.total.cpu_millicores}")


def total(store: SqlLedgerStore) -> Resources:
    return store.books(claim("somebody-else")).total


def look(store: SqlLedgerStore, *pods: object, before: dict[str, str | None] | None = None) -> None:
    seen = Observation(tuple(pods), CAPACITY)  # type: ignore[arg-type]
    store.reconcile(store.snapshot() if before is None else before, seen, at=NOON, reserved_before=EARLIER)


def test_a_claim_meets_the_sums_of_all_others_and_one_that_is_refused_leaves_nothing(store: SqlLedgerStore) -> None:
    look(store)
    store.reserve(claim("novice"), anything)
    store.reserve(claim("novice", "big", cpu=2.5, pool="deep-team"), anything)
    store.reserve(claim("al", cpu=0.5, pool="deep-team"), anything)
    met: list[Books] = []
    with pytest.raises(QuotaError):
        store.reserve(
            claim("novice", "more", pool="deep-team"), lambda _, books: (met.append(books), refuse(_, books))[1]
        )
    expected = Books(
        capacity=CAPACITY,
        observed_at=NOON,
        total=size(4, 12),
        own=size(3.5, 8),
        pool=size(3, 8),
        own_servers=("", "big"),
    )
    assert met == [expected]
    assert [each.claim.server for each in store.of("novice")] == ["", "big"]
    assert store.owners() == {"novice": size(3.5, 8), "al": size(0.5, 4)}


def test_of_one_name_there_is_one_reservation_as_large_as_the_larger_until_the_pod_is_known(
    store: SqlLedgerStore,
) -> None:
    first = store.reserve(claim(cpu=4, gib=1), anything)
    second = store.reserve(claim(cpu=1, gib=2), anything)
    assert total(store) == size(4, 2)
    store.cancel(first.id)
    assert total(store) == size(4, 2), "what was replaced cannot be given back"
    store.confirm(second.id, claim(cpu=1, gib=2), "uid-2", refuse)
    assert total(store) == size(1, 2)


def test_a_reservation_is_given_back_once_its_own_pod_is_gone_and_not_before(store: SqlLedgerStore) -> None:
    made = store.reserve(claim(), anything)
    store.release(made.claim.pod, "uid-1")
    store.confirm(made.id, claim(), "uid-1", refuse)
    store.cancel(made.id)
    store.release(made.claim.pod, "uid-0")
    store.release(PodName("elsewhere", made.claim.pod.name), "uid-1")
    assert total(store) == size()
    store.release(made.claim.pod, "uid-1")
    assert total(store) == size(0, 0)
    again = store.reserve(claim(), anything)
    store.release(made.claim.pod, "uid-1")
    assert [each.id for each in store.of("novice")] == [again.id], "the older pod's end is not this one's"
    store.cancel(again.id)
    assert store.of("novice") == ()


def test_a_pod_without_its_reservation_is_noted_and_refused_where_there_is_no_room(store: SqlLedgerStore) -> None:
    made = store.reserve(claim(), anything)
    store.cancel(made.id)
    with pytest.raises(QuotaError, match=r"^0$"):
        store.confirm(made.id, claim(), "uid-1", refuse)
    assert total(store) == size()
    store.release(made.claim.pod, "uid-1")
    larger = store.reserve(claim(), anything)
    with pytest.raises(QuotaError, match=r"^0$"):
        store.confirm(larger.id, claim(cpu=2), "uid-2", refuse)
    assert total(store) == size(2)


def test_a_late_confirmation_does_not_take_the_place_of_a_newer_reservation(store: SqlLedgerStore) -> None:
    first = store.reserve(claim(cpu=3), anything)
    second = store.reserve(claim(cpu=1), anything)
    store.confirm(first.id, claim(cpu=3), "uid-1", refuse)
    assert [(each.id, each.uid) for each in store.of("novice")] == [(second.id, None)]
    assert total(store) == size(3)


def test_an_observation_forgets_pods_that_are_gone_and_notes_those_that_nobody_told(
    store: SqlLedgerStore, clock: Clock
) -> None:
    gone = store.reserve(claim("gone"), anything)
    store.confirm(gone.id, gone.claim, "uid-1", refuse)
    clock.forward(-121)
    store.reserve(claim("old"), anything)
    seen = store.reserve(claim("seen"), anything)
    clock.forward(121)
    store.reserve(claim("young"), anything)
    look(store, live(claim("seen", cpu=2), "uid-2", seen.id), live(claim("untold"), "uid-3"))
    assert store.owners() == {"young": size(), "seen": size(2), "untold": size()}
    assert [(each.id, each.uid) for each in store.of("seen")] == [(seen.id, "uid-2")]
    look(store)
    assert set(store.owners()) == {"young"}


def test_what_happens_during_an_observation_is_not_judged_by_it(store: SqlLedgerStore, clock: Clock) -> None:
    clock.forward(-200)
    early, same = (store.reserve(claim(name), anything) for name in ("early", "same"))
    store.confirm(same.id, same.claim, "uid-1", refuse)
    before = store.snapshot()
    store.confirm(early.id, early.claim, "uid-2", refuse)
    store.reserve(claim("late"), anything)
    store.release(same.claim.pod, "uid-1")
    again = store.reserve(claim("same", cpu=2), anything)
    store.confirm(again.id, again.claim, "uid-3", refuse)
    look(store, live(claim("same"), "uid-1", same.id), before=dict(before))
    assert store.owners() == {"early": size(), "late": size(), "same": size(2)}
    assert [each.uid for each in store.of("same")] == ["uid-3"]


def test_a_pod_that_was_there_before_counts_beside_the_reservation_of_its_name_as_long_as_a_pod_may_come_of_that(
    store: SqlLedgerStore, clock: Clock
) -> None:
    pod = live(claim(cpu=1), "uid-old", "another")
    store.reserve(claim(cpu=3), anything)
    look(store, pod)
    assert [(each.uid, each.claim.size) for each in store.of("novice")] == [(None, size(3))]
    clock.forward(-121)
    store.reserve(claim(cpu=3), anything)
    look(store, pod)
    assert [(each.uid, each.claim.size) for each in store.of("novice")] == [("uid-old", size(1))]


def test_a_pod_without_limits_counts_as_everything_there_is(store: SqlLedgerStore) -> None:
    pod = live(claim(), "uid-1")
    look(store, type(pod)(pod=pod.pod, uid=pod.uid, owner="novice", size=None))
    assert total(store) == CAPACITY


def test_of_500_at_once_from_several_processes_exactly_as_many_are_admitted_as_have_room(
    store: SqlLedgerStore, database_url: str
) -> None:
    look(store)
    share = 125
    people = [(database_url, range(first, first + share)) for first in range(0, 4 * share, share)]
    with multiprocessing.get_context("fork").Pool(len(people)) as processes:
        admitted = processes.starmap(reserve_all, people)
    assert sum(admitted) == ROOM_FOR
    assert total(store) == size(ROOM_FOR, 4 * ROOM_FOR)
