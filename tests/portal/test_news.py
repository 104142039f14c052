"""What changes elsewhere reaches an open page at once, and never takes the place of what a person has before them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from pachon.portal.hearing import LOST, Hearing
from pachon.portal.state import Person
from pachon_client import Change, Running, UnreachableError
from portal.session import MemorySource, Session, session
from portal.test_saved import saved

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # Bokeh's own use of pandas


def opened(source: MemorySource, story: Callable[[Session, str], Awaitable[None]]) -> None:
    """Tell a story in a session that has opened a saved query."""
    query_id = saved(source)

    async def told() -> None:
        async with session(source, wanted=f"?q={query_id}") as living:
            await living.until(lambda: living.page.results.selected is not None)
            await story(living, query_id)

    asyncio.run(told())


def change(source: MemorySource, query_id: str, **changes: object) -> None:
    """Somebody else changes a query."""
    body = {**changes, "author": "rita", "note": "narrower", "conflict": "keep"}
    source.saved.request("PATCH", f"queries/{query_id}", body=body, headers={})
    source.tell("query.changed", id=query_id)


def test_a_version_of_somebody_else_is_announced_and_shown_only_when_asked_for() -> None:
    source = MemorySource()

    async def story(living: Session, query_id: str) -> None:
        news = living.page.saved.news
        living.page.saved.notes.value = "my own thoughts"
        told_at = time.monotonic()
        change(source, query_id, adql="SELECT 1", name="hers")
        await living.until(lambda: "Version 2 by rita" in news.words.object)
        assert time.monotonic() - told_at < 1
        assert "narrower" in news.words.object
        assert living.page.saved.notes.value == "my own thoughts"
        assert "sky.stars" in living.ask._editor.value
        await living.press(news._show_button)
        await living.until(lambda: living.ask._editor.value == "SELECT 1")
        assert news.words.object == ""
        assert living.page.saved.name.value == "hers"

    opened(source, story)


def test_who_keeps_theirs_is_left_alone_until_the_next_version() -> None:
    source = MemorySource()

    async def story(living: Session, query_id: str) -> None:
        news = living.page.saved.news
        change(source, query_id, name="second")
        await living.until(lambda: "Version 2" in news.words.object)
        await living.press(news._keep_button)
        await living.until(lambda: news.words.object == "")
        source.tell("query.changed", id=query_id)
        change(source, query_id, name="third")
        await living.until(lambda: "Version 3" in news.words.object)
        assert living.page.saved.name.value == "mine"

    opened(source, story)


def test_what_is_saved_on_this_page_is_no_news_to_it() -> None:
    source = MemorySource()

    async def story(living: Session, query_id: str) -> None:
        await living.press(living.page.saved.save_button)
        source.tell("query.changed", id=query_id)
        await living.until(lambda: "Saved" in living.page.saved.status.object)
        source.tell("query.changed", id=query_id)
        await living.until(lambda: not living.page.saved.news._work.is_busy)
        assert living.page.saved.news.words.object == ""

    opened(source, story)


def test_what_is_pressed_while_lists_are_read_again_is_done() -> None:
    source = MemorySource()

    async def story(living: Session, query_id: str) -> None:
        sharing = living.page.saved._sharing
        sharing.who.value = "ada"
        await living.press(sharing.share_button)
        for _ in range(20):
            source.tell("query.changed", id=query_id)
            sharing.refresh()
        await living.until(lambda: source.saved.shares)

    opened(source, story)


def test_a_query_that_is_gone_stays_on_the_page_with_what_can_be_done() -> None:
    source = MemorySource()

    async def story(living: Session, query_id: str) -> None:
        del source.saved.documents[query_id]
        source.tell("query.changed", id=query_id)
        await living.until(lambda: "was deleted" in living.page.saved.news.words.object)
        assert living.page.results.result is not None

    opened(source, story)


def test_a_job_of_another_program_is_listed_with_its_name_and_its_place_in_line() -> None:
    source = MemorySource()

    async def story(living: Session, _: str) -> None:
        waiting = Running(
            job="1", phase="QUEUED", client="pyvo", adql="SELECT 2", in_line={"position": 3, "seconds": 8}
        )
        source.under_way = (waiting,)
        source.tell("job.phase", id="1")
        await living.until(lambda: "by pyvo" in living.page.history.list.objects[0][1].object)
        assert "place 3 in line, about 8 s" in living.page.history.list.objects[0][1].object

    opened(source, story)


def test_pages_of_one_person_share_one_stream_that_ends_with_the_last_of_them() -> None:
    source = MemorySource()
    hearing, heard = Hearing(source.open), ([], [])
    person = Person("novice", "token")
    leaving = [hearing.subscribe(person, told.append) for told in heard]
    _wait(lambda: source.listeners)
    source.tell("query.changed", id="7")
    _wait(lambda: all(heard))
    assert len(source.opened) == 1
    leaving[0]()
    assert not source.opened[0].closed.is_set()
    leaving[1]()
    _wait(source.opened[0].closed.is_set)


def test_a_stream_comes_back_after_an_interruption_and_continues_where_it_was() -> None:
    asked: list[str] = []

    class Interrupted:
        def changes(self, address: str, *, after: str) -> list[Change]:
            del address
            asked.append(after)
            if len(asked) == 2:
                raise UnreachableError("away")
            return [Change(kind="query.changed", id=str(len(asked)))]

        def close(self) -> None:
            """Nothing waits."""

    leave = Hearing(lambda _: Interrupted()).subscribe(Person("novice", "token"), lambda _: None)
    _wait(lambda: len(asked) >= 3)
    leave()
    assert asked[:3] == ["", "1", "1"]


def test_people_beyond_the_most_streams_are_told_nothing_and_nothing_breaks() -> None:
    source, heard = MemorySource(), []
    hearing = Hearing(source.open, most=1)
    leave = hearing.subscribe(Person("novice", "one"), heard.append)
    hearing.subscribe(Person("rita", "two"), heard.append)()
    assert len(source.opened) == 1
    leave()
    assert LOST not in heard


def _wait(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
