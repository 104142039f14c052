"""The outbox and its feed keep these promises on every database."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from itertools import chain, repeat

import pytest
from sqlalchemy import Engine

from pachon.core import clock
from pachon.core.errors import UnavailableError
from pachon.core.ids import new_id
from pachon.state.database import writing
from pachon.state.feed import Feed
from pachon.state.outbox import Event, Outbox, publish


@pytest.fixture
def outbox(database: Engine) -> Outbox:
    return Outbox(database)


@pytest.fixture
def key() -> str:
    return new_id()


def publish_now(database: Engine, key: str, number: int = 0, *, hold_s: float = 0.0) -> None:
    with writing(database) as connection:
        publish(connection, "thing.happened", key, {"number": number})
        time.sleep(hold_s)


def numbers(events: tuple[Event, ...]) -> list[int]:
    return [event.payload["number"] for event in events]


def test_events_come_in_order_after_the_one_seen_last_up_to_the_limit(
    outbox: Outbox, database: Engine, key: str
) -> None:
    start = outbox.latest_id()
    for number in range(5):
        publish_now(database, key, number)
    first = outbox.read(start, 2)
    rest = outbox.read(first[-1].id)
    assert numbers(first) == [0, 1]
    assert numbers(rest) == [2, 3, 4]
    assert outbox.latest_id() == rest[-1].id
    assert {event.key for event in rest} == {key}


def test_an_event_is_seen_only_if_its_transaction_commits(outbox: Outbox, database: Engine, key: str) -> None:
    def fail() -> None:
        with writing(database) as connection:
            publish(connection, "thing.happened", key, {"number": 1})
            assert outbox.read(0, key=key) == ()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    publish_now(database, key, 2)
    assert numbers(outbox.read(0, key=key)) == [2]


def test_a_reader_never_misses_an_event_of_a_transaction_that_commits_late(
    outbox: Outbox, database: Engine, key: str
) -> None:
    start = outbox.latest_id()
    draw = random.Random(1)
    pauses_s = [[draw.uniform(0, 0.02) for _ in range(10)] for _ in range(4)]

    def publish_some(lane: int) -> None:
        for number, pause_s in enumerate(pauses_s[lane]):
            publish_now(database, key, 100 * lane + number, hold_s=pause_s)

    threads = [threading.Thread(target=publish_some, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    seen: list[Event] = []
    while True:
        is_last_look = not any(thread.is_alive() for thread in threads)
        seen.extend(outbox.read(seen[-1].id if seen else start, 3))
        if is_last_look and not outbox.read(seen[-1].id):
            break
    assert sorted(numbers(tuple(seen))) == [100 * lane + number for lane in range(4) for number in range(10)]


def test_forgotten_events_are_gone_and_their_ids_are_never_given_again(
    outbox: Outbox, database: Engine, key: str
) -> None:
    publish_now(database, key)
    last = outbox.latest_id()
    assert outbox.forget(clock.now() - timedelta(hours=1)) == 0
    assert outbox.forget(clock.now() + timedelta(hours=1)) >= 1
    assert outbox.read(0) == ()
    publish_now(database, key)
    assert outbox.latest_id() > last


def follow(
    feed: Feed, act: Callable[[], None] | None = None, *, count: int, after: int | None, key: str, act_after: int = 0
) -> list[Event]:
    """Follow, act once the follower has seen `act_after` events and waits, and return the first `count` events."""

    async def run() -> list[Event]:
        seen: list[Event] = []
        async with asyncio.timeout(30), aclosing(feed.follow(after, key=key)) as events:
            upcoming = asyncio.ensure_future(anext(events))
            if act and not act_after:
                await waits(feed)
                await asyncio.to_thread(act)
            while len(seen) < count:
                seen.append(await upcoming)
                if len(seen) < count:
                    upcoming = asyncio.ensure_future(anext(events))
                if act and len(seen) == act_after:
                    await waits(feed)
                    await asyncio.to_thread(act)
        return seen

    return asyncio.run(run())


async def waits(feed: Feed) -> None:
    """Return once a follower has joined and the feed knows the newest event."""
    while not feed._followers or feed._newest_id < await asyncio.to_thread(feed._outbox.latest_id):  # noqa: ASYNC110 -- nothing tells
        await asyncio.sleep(0.01)


def test_a_follower_gets_a_new_event_within_a_second(outbox: Outbox, database: Engine, key: str) -> None:
    seconds = []
    for number in range(4):
        published_at: list[float] = []

        def act(number: int = number, published_at: list[float] = published_at) -> None:
            publish_now(database, "somebody else", 6)
            publish_now(database, key, number)
            published_at.append(time.monotonic())

        (event,) = follow(Feed(outbox), act, count=1, after=None, key=key)
        seconds.append(time.monotonic() - published_at[0])
        assert event.payload == {"number": number}
    assert min(seconds) < 1, "on a loaded machine one of four must be in time"


def test_a_follower_who_comes_back_continues_where_it_was(outbox: Outbox, database: Engine, key: str) -> None:
    for number in range(250):
        publish_now(database, key if number % 2 else "somebody else", number)
    feed = Feed(outbox)
    first = follow(feed, count=5, after=0, key=key)
    rest = follow(Feed(outbox), count=120, after=first[-1].id, key=key)
    assert numbers((*first, *rest)) == list(range(1, 250, 2))


def test_an_event_that_comes_between_the_look_and_the_read_is_handed_over_once(
    outbox: Outbox, database: Engine, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_now(database, key, 1)
    late = iter([2])
    read = Outbox.read

    def publish_then_read(self: Outbox, after: int, limit: int, *, key: str) -> tuple[Event, ...]:
        for number in late:
            publish_now(database, key, number)
        return read(self, after, limit, key=key)

    def act() -> None:
        publish_now(database, key, 3)

    monkeypatch.setattr(Outbox, "read", publish_then_read)
    events = follow(Feed(outbox, poll_s=0.01), act, act_after=2, count=3, after=0, key=key)
    assert numbers(tuple(events)) == [1, 2, 3]


def test_a_follower_outlasts_a_database_that_is_away_for_a_moment(
    outbox: Outbox, database: Engine, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_now(database, key, 3)
    answers = chain([UnavailableError("away"), UnavailableError("away")], repeat(outbox.latest_id()))

    def latest_id(_: Outbox) -> int:
        answer = next(answers)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer

    monkeypatch.setattr(Outbox, "latest_id", latest_id)
    (event,) = follow(Feed(outbox, poll_s=0.01), count=1, after=0, key=key)
    assert event.payload == {"number": 3}


def test_a_follower_outlasts_a_fault_of_the_watch_which_is_logged(
    outbox: Outbox, database: Engine, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_now(database, key, 4)
    answers = chain([ZeroDivisionError("a fault of ours")], repeat(outbox.latest_id()))

    def latest_id(_: Outbox) -> int:
        answer = next(answers)
        if isinstance(answer, ZeroDivisionError):
            raise answer
        return answer

    monkeypatch.setattr(Outbox, "latest_id", latest_id)
    (event,) = follow(Feed(outbox, poll_s=0.01), count=1, after=0, key=key)
    assert event.payload == {"number": 4}
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [("a fault of ours",)]


def test_nobody_asks_the_database_when_nobody_follows(outbox: Outbox, database: Engine, key: str) -> None:
    async def run() -> tuple[bool, bool]:
        feed = Feed(outbox, poll_s=0.01)
        publish_now(database, key)
        async with aclosing(feed.follow(0, key=key)) as events:
            await anext(events)
            while_following = feed._watch is not None
        return while_following, feed._watch is None

    assert asyncio.run(run()) == (True, True)


def test_a_feed_serves_one_event_loop_after_another(outbox: Outbox, database: Engine, key: str) -> None:
    feed = Feed(outbox, poll_s=0.02)

    async def wait_for_next() -> int:
        async with asyncio.timeout(5), aclosing(feed.follow(key=key)) as events:
            coming = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(publish_now, database, key)
            return (await coming).id

    assert asyncio.run(wait_for_next()) < asyncio.run(wait_for_next())
