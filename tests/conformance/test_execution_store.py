"""Every `ExecutionStore` keeps these promises."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine

from pachon.core.errors import ConflictError, NotFoundError
from pachon.core.ids import new_id
from pachon.queries.models import Execution, Phase, Protocol
from pachon.queries.sql_storage import SqlExecutionStore
from pachon.queries.storage import EXECUTION_ENDED, ExecutionStore
from pachon.state.outbox import Outbox

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(database: Engine) -> ExecutionStore:
    return SqlExecutionStore(database)


@pytest.fixture
def owner() -> str:
    """A person nobody has heard of: the tests of a module share a database."""
    return f"person-{new_id()}"


def execution(
    owner: str, *, execution_id: str = "", query: str = "SELECT 1", destruction: datetime = NOON + timedelta(days=7)
) -> Execution:
    return Execution(
        id=execution_id or new_id(),
        owner=owner,
        protocol=Protocol.TAP_SYNC,
        query=query,
        tables=("tycho2.stars", "hipparcos.stars"),
        phase=Phase.COMPLETED,
        started_at=NOON,
        ended_at=NOON + timedelta(microseconds=1),
        destruction=destruction,
        row_count=2**53 + 1,
        size_bytes=2**40,
        overflow=True,
        client="STILTS",
    )


def test_what_is_kept_comes_back_the_same_to_the_microsecond(store: ExecutionStore, owner: str) -> None:
    kept = execution(owner, query="SELECT 'Vía Láctea ✨'\nFROM t")
    store.add(kept)
    assert store.get(owner, kept.id) == kept


def test_times_in_other_zones_are_the_same_moments(store: ExecutionStore, owner: str) -> None:
    kept = execution(owner, destruction=NOON.astimezone(timezone(timedelta(hours=-4))))
    store.add(kept)
    assert store.get(owner, kept.id).destruction == NOON
    assert store.get(owner, kept.id).destruction.utcoffset() == timedelta(0)


def test_what_no_database_can_hold_in_a_query_does_not_fail_its_record(store: ExecutionStore, owner: str) -> None:
    kept = execution(owner, query="SELECT '\0' \ud800")
    store.add(kept)
    assert store.get(owner, kept.id).query == "SELECT '\ufffd' ?"


def test_another_persons_execution_reads_like_none(store: ExecutionStore, owner: str) -> None:
    kept = execution(owner)
    store.add(kept)
    for asker, execution_id in (("eve", kept.id), (owner, new_id()), (owner, "\0"), ("", kept.id)):
        with pytest.raises(NotFoundError, match="no execution"):
            store.get(asker, execution_id)


def test_a_list_is_the_owners_alone_newest_first_in_pages(store: ExecutionStore, owner: str) -> None:
    ids = [f"{number:026d}" + owner for number in range(5)]
    for execution_id in (ids[2], ids[0], ids[4], ids[1], ids[3]):
        store.add(execution(owner, execution_id=execution_id))
    store.add(execution(f"{owner}-neighbour"))
    first = store.list(owner, limit=3)
    rest = store.list(owner, limit=3, before_id=first[-1].id)
    assert [kept.id for kept in (*first, *rest)] == ids[::-1]
    assert store.list("nobody", limit=3) == ()


def test_only_executions_past_their_destruction_are_forgotten(store: ExecutionStore, owner: str) -> None:
    long_ago = datetime(1999, 1, 1, tzinfo=UTC)
    gone, stays = execution(owner, destruction=long_ago), execution(owner, destruction=long_ago + timedelta(seconds=1))
    store.add(gone)
    store.add(stays)
    assert store.forget(long_ago + timedelta(seconds=1)) == 1
    assert store.list(owner, limit=9) == (stays,)


def test_an_id_is_kept_once_and_a_refused_one_publishes_nothing(
    store: ExecutionStore, owner: str, database: Engine
) -> None:
    kept = execution(owner)
    store.add(kept)
    before = Outbox(database).latest_id()
    with pytest.raises(ConflictError, match=kept.id):
        store.add(kept)
    assert Outbox(database).read(before) == ()


def test_adding_publishes_that_the_execution_ended_to_its_owner(
    store: ExecutionStore, owner: str, database: Engine
) -> None:
    before = Outbox(database).latest_id()
    kept = execution(owner)
    store.add(kept)
    (event,) = Outbox(database).read(before, key=owner)
    assert event.kind == EXECUTION_ENDED
    assert event.payload == {
        "id": kept.id,
        "protocol": "tap/sync",
        "phase": "COMPLETED",
        "client": "STILTS",
        "row_count": 2**53 + 1,
        "overflow": True,
    }


def test_threads_may_add_at_once_and_nothing_is_lost(store: ExecutionStore, owner: str) -> None:
    def add_some() -> None:
        for _ in range(10):
            store.add(execution(owner))

    threads = [threading.Thread(target=add_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list(owner, limit=100)) == 80
