"""A session as a person meets it, without a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import numpy as np
import pytest

from pachon.portal import pages
from pachon_client import UnreachableError
from portal.session import MemorySource, Session, session

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # Bokeh's own use of pandas


def live(source: MemorySource, story: Callable[[Session], Awaitable[None]]) -> None:
    """Tell a story in a session whose map has been drawn."""

    async def told() -> None:
        async with session(source) as living:
            await living.until(lambda: "objects in view" in living.note)
            await story(living)

    asyncio.run(told())


def test_a_search_pressed_while_a_typed_value_is_on_its_way_moves_the_map_and_shows_its_rows() -> None:
    async def story(living: Session) -> None:
        await living.press(living.ask._searches[0])
        await living.until(lambda: "100 rows" in living.status)
        assert living.page.map.view.centre == pytest.approx((56.75, 24.12))
        assert living.page.map.view.field_deg == pytest.approx(6)
        assert 'href="#results"' in living.status

    live(MemorySource(rows=100), story)


def test_buttons_of_the_map_move_it_also_while_a_typed_value_is_on_its_way() -> None:
    async def story(living: Session) -> None:
        before = living.page.map.view
        await living.press(living.page._map_buttons[0])
        await living.until(lambda: living.page.map.view.scale == before.scale / 2)
        assert living.page.map.plot.figure.x_range.end == living.page.map.view.x_range[1]

    live(MemorySource(), story)


def test_enter_searches_with_what_stands_in_the_field_and_leaves_it_there() -> None:
    async def story(living: Session) -> None:
        living.ask._radius._process_event(SimpleNamespace(event_name="enter-pressed", value_input=""))
        await living.until(lambda: "100 rows" in living.status)
        assert living.ask._radius.value == "2"
        living.ask._radius._process_event(SimpleNamespace(event_name="enter-pressed", value_input="0.5"))
        await living.until(lambda: any("24.120000, 0.5)" in adql for adql in living.source.asked))

    live(MemorySource(rows=100), story)


def test_a_press_while_a_query_runs_takes_its_place_and_gives_the_old_one_up() -> None:
    async def story(living: Session) -> None:
        living.source.wait = True
        await living.press(living.ask._searches[0])
        await living.until(lambda: len(living.queries) == 1)
        first = living.source.opened[-1]
        living.source.wait = False
        living.ask._radius._process_event(SimpleNamespace(event_name="enter-pressed", value_input="1"))
        await living.until(lambda: "100 rows" in living.status)
        assert first.closed.is_set()
        assert "24.120000, 1)" in living.queries[-1]

    live(MemorySource(rows=100), story)


def test_cancel_closes_the_connection_of_the_query_frees_its_thread_and_says_so() -> None:
    async def story(living: Session) -> None:
        living.source.wait = True
        await living.press(living.ask._searches[0])
        await living.until(lambda: len(living.queries) == 1)
        assert living.ask._cancels[0].visible
        await living.press(living.ask._cancels[0])
        await living.until(lambda: "given up" in living.status)
        assert living.source.opened[-1].closed.is_set()
        await living.until(lambda: living.source.running == 0, timeout_s=2)
        assert not living.ask._cancels[0].visible
        assert not living.ask._searches[0].disabled

    live(MemorySource(), story)


def test_queries_that_wait_do_not_keep_the_map_from_being_drawn() -> None:
    async def story(living: Session) -> None:
        end = threading.Event()
        for _ in range(living.pools.asking._max_workers):
            living.pools.asking.submit(end.wait, 20)
        try:
            image = living.page.map.plot.sources.image.data["image"][0]
            await living.press(living.page._map_buttons[0])
            await living.until(lambda: living.page.map.plot.sources.image.data["image"][0] is not image)
        finally:
            end.set()

    live(MemorySource(), story)


def test_the_page_says_in_one_sentence_that_the_platform_is_away_and_recovers_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "_RETRY_S", 0.05)
    source = MemorySource(trouble=UnreachableError("Nothing answers at http://127.0.0.1:1/api"))

    async def told() -> None:
        async with session(source) as living:
            await living.until(lambda: "not answering" in living.note)
            assert "127.0.0.1" not in living.note
            source.trouble = None
            await living.until(lambda: "objects in view" in living.note)
            source.trouble = UnreachableError("Nothing answers at http://127.0.0.1:1/api")
            await living.press(living.ask._searches[0])
            await living.until(lambda: "not answering" in living.status)
            source.trouble = None
            await living.press(living.ask._searches[0])
            await living.until(lambda: "100 rows" in living.status)

    asyncio.run(told())


@pytest.mark.parametrize(("rows", "is_picture"), [(3_000, False), (30_000, True)])
def test_few_points_are_drawn_one_by_one_and_many_as_a_picture_on_map_and_plot(*, rows: int, is_picture: bool) -> None:
    async def story(living: Session) -> None:
        await living.press(living.ask._searches[0])
        await living.until(lambda: f"{rows:,} rows" in living.status)
        sky, plot = living.page.map.plot.sources, living.page.results.colour
        await living.until(lambda: plot.image.data["image"][0].any() == is_picture)
        assert (len(sky.found.data["x"]) > 0, sky.overlay.data["image"][0].any()) == (not is_picture, is_picture)
        assert len(plot.points.data["x"]) == (0 if is_picture else rows)
        half = np.arange(rows) % 2 == 0
        living.page._turn(lambda: living.page.results.select(half))
        await living.until(lambda: plot.highlight.data["image"][0].any() or len(plot.chosen.data["x"]) == half.sum())
        assert len(sky.chosen.data["x"]) > 0

    live(MemorySource(rows=rows), story)
