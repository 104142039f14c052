"""A session as a person meets it, without a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from panel.widgets import Button

from pachon.portal import compute, map_view, pages, result_words
from pachon.portal.compute import query_words
from pachon.portal.downloads import Downloads, Kept
from pachon_client import UnreachableError
from portal.session import MemorySource, Session, session, stars

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # Bokeh's own use of pandas

_COMPILED_S = 60.0
"""The first picture of points waits until its kernels are compiled."""


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


def test_what_a_query_hardly_means_is_told_above_its_rows() -> None:
    told = result_words.summary_html(replace(stars(2), warnings=("2 < 3",)), max_rows=10, seconds=0.1)
    assert 'role="status">2 &lt; 3</p>' in told


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
        (entry,) = living.queries
        await living.until(lambda: query_words(entry) in listed(living))

    live(MemorySource(), story)


def listed(living: Session) -> list[str]:
    """What stands under "Your queries"."""
    return [button.label for button in living.page.history.list.select(Button)]


def test_queries_that_wait_do_not_keep_new_tiles_of_the_map_from_coming() -> None:
    async def story(living: Session) -> None:
        end = threading.Event()
        for _ in range(living.pools.asking._max_workers):
            living.pools.asking.submit(end.wait, 20)
        try:
            await living.until(lambda: {order for order, _ in tuple(living.source.tiles)} == {0})
            living.page._turn(lambda: living.page.map.go_to(56.75, 24.12, field_deg=5))
            await living.until(lambda: any(order > 0 for order, _ in tuple(living.source.tiles)))
            await living.until(lambda: "sharpening" not in living.note)
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
        points, singles = (0 if is_picture else rows), not is_picture
        await living.until(lambda: plot.image.data["image"][0].any() == is_picture, timeout_s=_COMPILED_S)
        await living.until(lambda: len(plot.points.data["x"]) == points)
        await living.until(lambda: sky.overlay.data["image"][0].any() == is_picture, timeout_s=_COMPILED_S)
        await living.until(lambda: (len(sky.found.data["x"]) > 0) == singles)
        half = np.arange(rows) % 2 == 0
        living.page._turn(lambda: living.page.results.select(half))
        await living.until(lambda: plot.highlight.data["image"][0].any() or len(plot.chosen.data["x"]) == half.sum())
        await living.until(lambda: len(sky.chosen.data["x"]) > 0)

    live(MemorySource(rows=rows), story)


def test_whatever_takes_longer_with_more_rows_is_done_beside_the_turn_and_one_page_of_rows_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, work = threading.current_thread(), set()

    def watch(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def watched(*arguments: object, **options: object) -> object:
            assert threading.current_thread() is not turn, f"{name} keeps every session waiting"
            work.add(name)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, watched)

    for name in (
        "values_of",
        "positions_of",
        "extent",
        "histogram",
        "rasterize",
        "row_order",
        "table_page",
        "in_ranges",
        "rows_passing",
    ):
        watch(compute, name)
    watch(map_view, "project")

    async def story(living: Session) -> None:
        table = living.page.results.table
        await living.press(living.ask._searches[0])
        picture = living.page.results.colour.image
        await living.until(lambda: table.frame is not None and picture.data["image"][0].any(), timeout_s=_COMPILED_S)
        assert list(table.frame.index) == list(range(1, 16))
        await living.press(table.turns["Last"])
        await living.until(lambda: table.frame.index[-1] == 30_000)
        table.by.value = "g_mag"
        await living.until(lambda: table.frame["g_mag"].is_monotonic_increasing and table.frame.index[0] == 1)
        low, _ = living.page.results.bar_range.fields[0]
        low._process_event(SimpleNamespace(event_name="enter-pressed", value_input="12"))
        await living.until(lambda: "rows selected" in living.page.results.chosen.object)
        await living.until(lambda: table.frame["g_mag"].min() >= 12)
        living.page._select_on_map(living.page.map.view.x_range, living.page.map.view.y_range)
        living.page.results.filters._set(({"column": "g_mag", "op": ">", "value": 11},))
        await living.until(lambda: work >= {"in_ranges", "row_order", "rasterize", "project", "rows_passing"})
        assert "Something went wrong" not in living.status

    live(MemorySource(rows=30_000), story)


def test_ranges_typed_below_the_plot_select_like_a_box_and_a_wrong_one_is_explained_there() -> None:
    async def story(living: Session) -> None:
        results = living.page.results
        await living.press(living.ask._searches[0])
        await living.until(lambda: len(results.colour.points.data["x"]))
        (_, colour_to), (magnitude_from, _) = results.colour_range.fields
        colour_to.value = "one"
        results.colour_range._asked()
        assert "must be a number, or empty" in results.colour_range.trouble.object
        colour_to.value, magnitude_from.value = "1", "12"
        magnitude_from._process_event(SimpleNamespace(event_name="enter-pressed", value_input="12"))
        await living.until(lambda: "of 500 rows selected" in results.chosen.object)
        x, y = (results.colour.chosen.data[name] for name in "xy")
        assert 0 < len(x) < 500
        assert x.max() <= 1
        assert y.min() >= 12
        await living.until(lambda: len(living.page.map.plot.sources.chosen.data["x"]) == len(x))

    live(MemorySource(rows=500), story)


def test_a_result_that_made_room_for_a_newer_one_is_let_go_and_the_page_says_why() -> None:
    size = Kept("novice", "", stars(100)).size_bytes
    offered = Downloads(limit_per_person_bytes=size)

    async def told() -> None:
        async with session(MemorySource(rows=100), offered=offered) as old:
            await old.until(lambda: "objects in view" in old.note)
            await old.press(old.ask._searches[0])
            await old.until(lambda: "100 rows" in old.status)
            offered.keep(Kept("novice", "", stars(100)), given_up=lambda _: None)
            await old.until(lambda: "made room for a newer one" in old.page.results.summary.object)
            assert old.page.results.result is None
            await old.until(lambda: len(old.page.map.plot.sources.found.data["x"]) == 0)

    asyncio.run(told())
