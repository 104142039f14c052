"""Saving what is at hand, and opening it again, in a session without a browser."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Awaitable, Callable
from html import unescape

import numpy as np
import pyarrow as pa
import pytest
from panel.widgets import Button

from pachon.core.errors import UsageError
from pachon.portal import pages
from pachon.portal.copies import copies_html
from pachon.portal.queries_page import Listed, queries_html
from pachon.portal.saved_rows import places_shown, wanted_query
from pachon.portal.share_view import share_of
from pachon_client import NotFoundError, QuerySummary, Result
from portal.session import Connection, MemorySource, Session, session, stars

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # Bokeh's own use of pandas

Story = Callable[[Session], Awaitable[None]]


def live(source: MemorySource, story: Story, *, wanted: str = "") -> None:
    """Tell a story in a session that opens a query, or that has asked one of a hundred rows."""

    async def told() -> None:
        async with session(source, wanted=wanted) as living:
            if not wanted:
                await living.until(lambda: "objects in view" in living.note)
                await living.press(living.ask._searches[0])
                await living.until(lambda: "100 rows" in living.status)
                results = living.page.results
                await living.until(lambda: results._xy is not None and not results._fits._is_busy)
            await story(living)

    asyncio.run(told())


async def save(living: Session, name: str) -> None:
    living.page.saved.name.value = name
    await living.press(living.page.saved.save_button)
    await living.until(lambda: "Saved" in living.page.saved.status.object)


def saved(source: MemorySource, name: str = "mine") -> str:
    """A query is saved with a selection, a sort and plots in sight; returns its id."""

    async def story(living: Session) -> None:
        results = living.page.results

        def touch() -> None:
            results._colour_range_asked(((0.5, 1.5), (11.0, 13.0)))
            results.table.sort_by("g_mag", falling=True)
            results.colour.figure.x_range.start = -3.25

        living.page._turn(touch)
        await living.until(lambda: results.colour.figure.x_range.start == -3.25)
        await save(living, name)

    live(source, story)
    return next(iter(source.saved.documents))


def test_a_link_brings_the_rows_back_by_running_the_query_again_with_selection_sort_plots_and_place() -> None:
    source = MemorySource()
    query_id = saved(source)

    async def story(living: Session) -> None:
        results = living.page.results
        await living.until(lambda: results.selected is not None)
        x, y = results._xy
        assert (results.selected == ((x >= 0.5) & (x <= 1.5) & (y >= 11) & (y <= 13))).all()
        assert results.colour_range.fields[0][0].value == "0.5"
        assert results.table.sort == ("g_mag", True)
        assert results.colour.figure.x_range.start == -3.25
        assert living.page.map.view.centre == pytest.approx((56.75, 24.12))
        assert living.ask._editor.value == living.page.saved.query.adql
        before = source.saved.documents[query_id]["current"]["view"]
        await save(living, "again")
        assert source.saved.documents[query_id]["current"]["view"] == before

    live(source, story, wanted=f"?q={query_id}")


def test_who_may_not_read_the_data_sees_the_query_and_why_there_are_no_rows() -> None:
    source = MemorySource()
    source.saved.row_count, source.saved.reason = None, "What this result was made from is not yours to read: dr9."
    source.saved.access = "reader"
    query_id = saved(source)
    source.asked.clear()

    async def story(living: Session) -> None:
        await living.until(lambda: "not yours to read: dr9" in living.page.saved.status.object)
        assert "sky.stars" in living.ask._editor.value
        assert living.page.saved.save_button.label == "Save a copy"
        assert living.queries == []

    live(source, story, wanted=f"?q={query_id}")


def test_rows_that_the_last_run_did_not_renew_are_shown_and_said_to_be_older(monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource()
    query_id = saved(source)
    told = "The rows are those of the run of 2026-11-25 12:00 UTC: the last ended with ERROR."
    source.saved.documents[query_id]["current"]["result"] = {"available": True, "reason": told}
    monkeypatch.setattr(pages, "rows_of", lambda _: stars(100))

    async def story(living: Session) -> None:
        await living.until(lambda: told in living.page.saved.status.object)
        assert len(living.page.results.result) == 100

    live(source, story, wanted=f"?q={query_id}")


def test_a_query_that_is_not_there_is_said_in_one_sentence() -> None:
    async def story(living: Session) -> None:
        await living.until(lambda: "There is no query" in living.page.saved.status.object)

    live(MemorySource(), story, wanted=f"?q={'7' * 26}")


def test_a_query_whose_release_was_archived_shows_its_text_and_says_why_it_has_no_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = "Release sky is archived and not queried any more; its files are at http://localhost/api/releases/sky/files."
    source = MemorySource()
    query_id = saved(source)
    before = json.dumps(source.saved.documents)

    def refuse(*_: object) -> Result:
        raise NotFoundError(told)

    monkeypatch.setattr(Connection, "query", refuse)

    async def story(living: Session) -> None:
        await living.until(lambda: told in living.status)
        assert living.ask._editor.value == living.page.saved.query.adql

    live(source, story, wanted=f"?q={query_id}")
    assert json.dumps(source.saved.documents) == before


def test_if_somebody_was_quicker_both_are_shown_and_both_can_be_kept() -> None:
    source = MemorySource()

    async def story(living: Session) -> None:
        await save(living, "mine")
        query_id = living.page.saved.query.id
        source.saved.request(
            "PATCH", f"queries/{query_id}", body={"name": "<theirs>", "author": "ada", "conflict": "keep"}
        )
        living.page.saved.name.value = "mine, better"
        await living.press(living.page.saved.save_button)
        await living.until(lambda: "&lt;theirs&gt;" in living.page.saved.status.object)
        assert "ada saved version 2" in living.page.saved.status.object
        assert source.saved.documents[query_id]["current"]["name"] == "<theirs>"
        await living.press(living.page.saved.both_button)
        await living.until(lambda: "Saved" in living.page.saved.status.object)
        current = source.saved.documents[query_id]["current"]
        assert (current["name"], current["number"], current["conflict"]) == ("mine, better", 3, "keep")
        assert not living.page.saved.both_button.visible

    live(source, story)


def test_rows_that_no_range_tells_are_kept_by_their_identifier() -> None:
    source = MemorySource(rows=100)

    async def story(living: Session) -> None:
        living.page._turn(lambda: living.page.results.select(np.arange(100) < 60))
        await living.until(lambda: living.page.results.selected is not None)
        await save(living, "few")
        assert source.saved.documents["0" * 26]["current"]["view"]["selection"]["kind"] == "rows"

    live(source, story)


def test_a_query_is_shared_by_a_link_whose_address_is_shown_and_a_former_version_is_restored() -> None:
    source = MemorySource()

    async def story(living: Session) -> None:
        await save(living, "mine")
        sharing = living.page.saved._sharing
        sharing.audience.value, sharing.days.value = "link", "30"
        await living.press(sharing.share_button)
        await living.until(lambda: "link=&lt;t&gt;" in sharing.status.object)
        await living.until(lambda: len(sharing.shares.select(Button)) == 1)
        assert source.saved.shares[0]["expires_at"] > "2026"
        sharing.audience.value, sharing.who.value = "person", " "
        await living.press(sharing.share_button)
        await living.until(lambda: "Name the person" in sharing.status.object)
        living.page.saved.query.note("a second version")
        living.page._turn(lambda: sharing.show(living.page.saved.query))
        await living.until(lambda: len(sharing.versions.select(Button)) == 1)
        await living.press(sharing.versions.select(Button)[0])
        await living.until(lambda: living.page.saved.name.value == "restored")

    live(source, story)


@pytest.mark.parametrize("days", ["0", "-1", "x", "1.5", "99999"])
def test_days_of_a_share_are_a_whole_number_that_is_possible(days: str) -> None:
    with pytest.raises(UsageError, match="whole number from 1 to 3650"):
        share_of("link", who="", days=days, may_edit=False)


def test_lines_for_other_tools_say_how_to_log_in_and_hold_the_text_escaped() -> None:
    adql = "SELECT *\nFROM sky.stars WHERE name = '<b>O''Neill'"
    shown = copies_html({"current": {"adql": adql, "max_rows": 50}}, "1" * 26, api_url="http://localhost/api")
    python, pyvo, topcat = (unescape(part) for part in re.findall(r'tabindex="0">(.*?)</pre>', shown, re.DOTALL))
    assert f'pachon_client.open("{"1" * 26}")' in python
    assert 'session.headers["Authorization"]' in pyvo
    words = dict(word.split("=", 1) for word in shlex.split(topcat.partition("stilts ")[2]) if "=" in word)
    assert words["-Dauth.password"] == "$TOKEN"
    assert (words["tapurl"], words["adql"], words["maxrec"]) == ("http://localhost/api/tap", adql, "50")
    assert "a token from http://localhost/hub/token" in topcat
    assert "<b>" not in shown


def test_addresses_of_pages_open_queries_by_id_and_by_the_token_of_a_link() -> None:
    assert wanted_query({"q": [b"1a"], "link": [b"t&x"], "other": [b"y"]}) == "?q=1a&link=t%26x"
    assert wanted_query({"link": [b"t"]}) == ""


def test_the_list_tells_ones_own_from_what_is_shared_and_escapes_what_people_wrote() -> None:
    wanted = {"text": "", "whose": "all", "state": ""}
    mine = QuerySummary(
        id="1" * 26, owner="novice", name="<b>near</b>", adql="SELECT 1", state="COMPLETED", version=2, row_count=1_234
    )
    theirs = QuerySummary(id="2" * 26, owner="ada", name="far", adql="SELECT 2", state="DRAFT", version=1)
    page = queries_html(Listed((mine, theirs)), wanted, root="/sky", person="novice")
    assert "&lt;b&gt;near&lt;/b&gt;" in page
    assert "1,234 rows" in page
    assert "of ada, shared with you" in page
    assert f'href="/sky/portal/?q={"2" * 26}"' in page
    assert "No query is saved yet" in queries_html(Listed(()), wanted, root="", person="novice")
    assert "Nothing is found" in queries_html(Listed(()), {**wanted, "text": "x"}, root="", person="novice")


def test_rows_that_the_view_of_another_program_shows_are_selected_and_kept_until_others_are() -> None:
    class Kept:
        """The platform applies the selection: rows 1, 3, and one that the Portal did not load."""

        def result(self, **asked: object) -> Result:
            assert (asked["shown"], asked["places"]) == (True, True)
            return Result(table=pa.table({"row place": [1, 3, 100], "id": [0, 0, 0]}), columns=())

    assert np.flatnonzero(places_shown(Kept(), stars(100))).tolist() == [1, 3]
    source = MemorySource()
    query_id = saved(source)
    selection = {"kind": "polygon", "x": "ra", "y": "dec", "vertices": [[0, 0], [1, 0], [0, 1]]}
    current = source.saved.documents[query_id]["current"]
    current["view"] = {"schema_version": "1.0", "selection": selection}

    async def story(living: Session) -> None:
        page = living.page
        await living.until(lambda: page.results.result is not None)
        shown = np.arange(100) % 2 == 0

        def show() -> None:
            page._rows_of_rest = shown
            page.results.select(shown)

        page._turn(show)
        await living.until(lambda: page.results.selected is shown)
        assert page._at_hand().view() == ({**page._at_hand().viewed.document(), "selection": selection}, "")
        page._turn(lambda: page.results.select(None))
        await living.until(lambda: page.results.selected is None)
        assert "selection" not in page._at_hand().view()[0]

    live(source, story, wanted=f"?q={query_id}")
