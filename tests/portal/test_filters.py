"""Filters that a person sets on a result, in words and in a session without a browser."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pachon.core.errors import UsageError
from pachon.portal.compute import rows_passing
from pachon.portal.filter_text import filter_words, operators_for, typed_filter
from pachon.queries.saved.view_state import checked_view
from pachon_client import Column, Result
from portal.session import MemorySource, Session, session, stars
from portal.test_saved import live, save

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # Bokeh's own use of pandas

ROWS = Result(
    table=pa.table(
        {
            "id": pa.array([2**60 + 1, 2**60 + 3, 5, None], pa.int64()),
            "mag": pa.array([12.5, 11.0, None, 13.0], pa.float32()),
            "name": pa.array(["Vega", "vega b", None, "Sirius, A"]),
            "is_new": pa.array([True, False, None, True]),
            "seen": pa.array([0, 86_400_000_000, None, 2 * 86_400_000_000], pa.timestamp("us")),
            "place": pa.array([[1.0], [], None, [2.0]]),
        }
    ),
    columns=tuple(Column(name=name) for name in ("id", "mag", "name", "is_new", "seen", "place")),
)


def kind_of(column: str) -> pa.DataType:
    return ROWS.table.schema.field(column).type


@pytest.mark.parametrize(
    ("column", "op", "text", "passing", "words"),
    [
        ("id", "=", " 1152921504606846977 ", [0], "id = 1152921504606846977"),
        ("id", "<", "5.5", [2], "id < 5.5"),
        ("mag", ">=", "12.5", [0, 3], "mag \N{GREATER-THAN OR EQUAL TO} 12.5"),
        ("mag", "between", "13, \N{MINUS SIGN}12.5", [0, 1, 3], "mag between 13 and -12.5"),
        ("mag", "in", "11, 12, 13, 14, 15", [1, 3], "mag is one of 11, 12, 13 and 2 more"),
        ("mag", "is null", "", [2], "mag has no value"),
        ("name", "contains", "VEGA", [0, 1], "name contains VEGA"),
        ("name", "starts with", "sirius, a", [3], "name starts with sirius, a"),
        ("is_new", "=", "True", [0, 3], "is_new = true"),
        ("seen", ">", "1970-01-01T12:00:00Z", [1, 3], "seen > 1970-01-01T12:00:00"),
        ("place", "is not null", "", [0, 1, 3], "place has a value"),
    ],
)
def test_a_typed_filter_keeps_the_rows_that_it_says_and_is_read_in_a_few_words(
    *, column: str, op: str, text: str, passing: list[int], words: str
) -> None:
    asked = typed_filter(column, op, text, kind=kind_of(column))
    assert checked_view({"filters": [asked]}) == {"filters": [asked]}
    assert np.flatnonzero(rows_passing(ROWS, [asked])).tolist() == passing
    assert filter_words(asked) == words


@pytest.mark.parametrize(
    ("column", "op", "text", "said"),
    [
        ("mag", "<", "bright", r"^mag holds numbers, such as 12\.5: 'bright' is none\.$"),
        ("mag", "<", "", "'' is none"),
        ("mag", "=", "nan", "'nan' is none"),
        ("mag", "in", "1, two", "'two' is none"),
        ("mag", "between", "1", "mag between needs two values with a comma between them, such as 10, 12.5, not '1'"),
        ("mag", "contains", "1", "mag cannot be filtered by 'contains'; it can by <, "),
        ("name", "like", "V%", "name cannot be filtered by 'like'; it can by contains, "),
        ("name", "=", "  ", "name holds text; type some, or choose 'has no value'"),
        ("is_new", "=", "maybe", "is_new holds true or false: 'maybe' is none"),
        ("seen", ">", "yesterday", r"seen holds moments \(UTC\), such as 2026-11-25T23:00:00: 'yesterday' is none"),
        ("seen", ">", "2026-11-25T23:00:00+02:00", "is none"),
        ("place", "=", "1", "place cannot be filtered by '='; it can by has no value, has a value"),
    ],
)
def test_what_cannot_be_a_filter_is_explained_in_one_sentence(column: str, op: str, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        typed_filter(column, op, text, kind=kind_of(column))


@given(st.data())
def test_whatever_filter_is_typed_can_be_saved_and_applied(data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(ROWS.table.column_names))
    op = data.draw(st.sampled_from([*operators_for(kind_of(column)).values()]))
    numbers = st.integers().map(str) | st.floats().map(repr)
    text = data.draw(st.text(max_size=8) | numbers | st.lists(numbers, max_size=3).map(",".join))
    try:
        asked = typed_filter(column, op, text, kind=kind_of(column))
    except UsageError:
        return
    assert checked_view({"filters": [asked]}) == {"filters": [asked]}
    assert rows_passing(ROWS, [asked]).shape == (4,)
    assert filter_words(asked).startswith(column)


async def add(living: Session, *, op: str, value: str) -> None:
    """Add a filter of the G magnitude by hand."""
    form = living.page.results.filters
    form.column.value = "g_mag"
    await living.until(lambda: op in form.op.options.values())
    form.op.value, form.value.value = op, value
    living.page._turn(form._add)


def listed(living: Session) -> int:
    """How many rows the table pages through."""
    return living.page.results.table._row_count


def test_a_filter_holds_for_table_plots_map_and_counts_until_it_is_removed() -> None:
    async def story(living: Session) -> None:
        page, results = living.page, living.page.results
        await living.press(living.ask._searches[0])
        await living.until(lambda: len(results.colour.points.data["x"]) == 500)
        await living.until(lambda: page.map._found is not None)
        passing = int((stars(500)["g_mag"] < 12).sum())
        await add(living, op="<", value="12")
        await living.until(lambda: f"{passing:,} of 500 rows pass" in results.filters.count.object)
        await living.until(lambda: listed(living) == len(results.colour.points.data["x"]) == passing)
        await living.until(lambda: int(np.isfinite(page.map._found.ra_deg).sum()) == passing)
        await living.until(lambda: results.bars.bars.data["top"].sum() == passing)

        page._turn(lambda: results._bar_range_asked(((11.0, np.inf),)))
        both = int(((stars(500)["g_mag"] < 12) & (stars(500)["g_mag"] >= 11)).sum())
        await living.until(lambda: f"{both:,} of {passing:,} rows selected" in results.chosen.object)
        assert listed(living) == both

        await living.press(results.filters.clear)
        selected = int((stars(500)["g_mag"] >= 11).sum())
        await living.until(lambda: f"{selected:,} of 500 rows selected" in results.chosen.object)
        await living.until(lambda: len(results.colour.points.data["x"]) == 500)
        assert not results.filters.clear.visible
        assert "Something went wrong" not in living.status

    async def told() -> None:
        async with session(MemorySource(rows=500)) as living:
            await living.until(lambda: "objects in view" in living.note)
            await story(living)

    asyncio.run(told())


def test_a_wrong_filter_is_explained_where_it_was_typed_and_changes_nothing() -> None:
    async def story(living: Session) -> None:
        form = living.page.results.filters
        await add(living, op="<", value="bright <b>")
        await living.until(lambda: "&#x27;bright &lt;b&gt;&#x27; is none" in form.trouble.object)
        assert 'role="alert"' in form.trouble.object
        assert form.documents == ()
        await add(living, op="<", value="12")
        await living.until(lambda: 0 < listed(living) < 100)
        assert form.trouble.object == ""

    live(MemorySource(), story)


def test_filters_come_back_with_a_saved_query_and_are_kept_to_the_letter() -> None:
    source = MemorySource()

    async def set_and_save(living: Session) -> None:
        await add(living, op="between", value="11, 12")
        await living.until(lambda: listed(living) < 100)
        results = living.page.results
        living.page._turn(lambda: results._colour_range_asked(((0.5, 1.5), (11.5, 13.0))))
        await living.until(lambda: results.selected is not None)
        await save(living, "filtered")

    live(source, set_and_save)
    (query_id, document), = source.saved.documents.items()  # fmt: skip
    view = document["current"]["view"]
    assert view["filters"] == [{"column": "g_mag", "op": "between", "values": [11, 12]}]
    foreign = [*view["filters"], {"column": "r_mag", "op": "is not null", "value": None}]
    view["filters"] = foreign
    table = stars(100).table
    g_mag, r_mag = (table.column(name).to_numpy() for name in ("g_mag", "r_mag"))
    kept = (g_mag >= 11) & (g_mag <= 12)
    colour = g_mag - r_mag
    chosen = kept & (colour >= 0.5) & (colour <= 1.5) & (g_mag >= 11.5)

    async def come_back(living: Session) -> None:
        results = living.page.results
        await living.until(lambda: results.selected is not None)
        assert (results.kept == kept).all()
        assert (results.selected == chosen).all()
        assert listed(living) == chosen.sum()
        before = dict(view)
        await save(living, "again")
        assert source.saved.documents[query_id]["current"]["view"] == before

    live(source, come_back, wanted=f"?q={query_id}")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"column": "z_mag", "op": "<", "value": 3}, "The result has no column &#x27;z_mag&#x27;."),
        ({"column": "g_mag", "op": "resembles", "value": 3}, "is compared by &#x27;resembles&#x27;; allowed are =, "),
    ],
)
def test_filters_that_do_not_fit_the_rows_are_named_and_kept_and_all_rows_are_shown(
    document: dict[str, Any], said: str
) -> None:
    source = MemorySource()

    async def story(living: Session) -> None:
        await save(living, "mine")

    live(source, story)
    (query_id,) = source.saved.documents
    source.saved.documents[query_id]["current"]["view"] = {"schema_version": "1.0", "filters": [document]}

    async def come_back(living: Session) -> None:
        results = living.page.results
        await living.until(lambda: said in results.filters.trouble.object)
        assert listed(living) == 100
        assert results.viewed().filters == (document,)

    live(source, come_back, wanted=f"?q={query_id}")


def test_what_was_done_with_rows_that_are_out_of_reach_is_kept_when_the_query_is_saved() -> None:
    source = MemorySource()
    source.saved.row_count = None

    async def story(living: Session) -> None:
        await add(living, op=">", value="11")
        await save(living, "mine")

    live(source, story)
    (query_id,) = source.saved.documents
    view = source.saved.documents[query_id]["current"]["view"]
    assert view["filters"]

    async def rename(living: Session) -> None:
        await living.until(lambda: "no rows to show" in living.page.saved.status.object)
        await save(living, "renamed")
        assert source.saved.documents[query_id]["current"]["view"] == view

    live(source, rename, wanted=f"?q={query_id}")


def test_chunks_of_a_result_are_sifted_each_in_its_place() -> None:
    rows = stars(1_000).table
    pieces = Result(table=pa.concat_tables([rows.slice(0, 3), rows.slice(3, 0), rows.slice(3)]), columns=())
    mask = rows_passing(pieces, [{"column": "g_mag", "op": ">", "value": 12}])
    assert mask.tolist() == pc.greater(rows.column("g_mag"), 12).to_pylist()
