"""View states as the Portal writes and reads them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pachon.core.row_filter import OPERATORS
from pachon.portal.compute import axis_of, colour_axes
from pachon.portal.viewed import Bound, ColourPlot, Picked, Place, Viewed, picked_rows, quoted, read_view, rows_picked
from pachon.queries.saved.view_state import checked_view
from portal.session import COLUMNS, stars

_FLOATS = st.floats(-1e300, 1e300)
_NAMES = st.text("ab_9 \"'-", min_size=1, max_size=6)
_EXPRESSIONS = st.lists(_NAMES.map(quoted), min_size=1, max_size=2).map(" - ".join)
_RANGES = st.tuples(_FLOATS, _FLOATS)


@st.composite
def _bounds(draw: st.DrawFn) -> Bound:
    low, high = sorted(draw(_RANGES))
    open_side = draw(st.sampled_from(("none", "low", "high")))
    return Bound(
        draw(_EXPRESSIONS), -math.inf if open_side == "low" else low, math.inf if open_side == "high" else high
    )


_SELECTIONS = st.one_of(
    st.fixed_dictionaries({"bounds": st.lists(_bounds(), max_size=3).map(tuple)}),
    st.fixed_dictionaries(
        {"picked": st.builds(Picked, _NAMES, st.lists(st.integers().map(str), max_size=5).map(tuple))}
    ),
)
_DRAWN = {"kind": "polygon", "x": "a", "y": "b", "vertices": [[0, 0], [1, 0], [0, 1]]}
_VALUES = st.none() | st.booleans() | st.integers() | _FLOATS | st.text("a1 ,'", max_size=5)
_FILTERS = st.fixed_dictionaries(
    {"column": _NAMES, "op": st.sampled_from(OPERATORS)},
    optional={"value": _VALUES, "values": st.lists(_VALUES, max_size=3)},
)
_VIEWS = st.builds(
    lambda selection, rest, **others: Viewed(**others, rest=rest, **({} if rest else selection)),
    _SELECTIONS,
    filters=st.lists(_FILTERS, max_size=3).map(tuple),
    sort=st.none() | st.tuples(_NAMES, st.booleans()),
    colour=st.none() | st.builds(ColourPlot, _EXPRESSIONS, _EXPRESSIONS, _RANGES, _RANGES),
    bars=st.none() | _EXPRESSIONS,
    place=st.none() | st.builds(Place, st.floats(0, 360), st.floats(-90, 90), st.floats(0.01, 180)),
    rest=st.sampled_from(({}, {"selection": _DRAWN, "columns": [{"name": "b"}]})),
)


@given(_VIEWS)
def test_whatever_was_viewed_is_a_view_state_of_the_platform_and_comes_back_as_it_was(viewed: Viewed) -> None:
    again, unshown = read_view(checked_view(viewed.document()))
    assert again == viewed
    assert unshown == (("the choice of columns",) if viewed.rest else ())
    assert again.is_chosen_elsewhere == bool(viewed.rest)


def test_what_other_programs_put_into_a_view_is_named_and_kept() -> None:
    document = {
        "schema_version": "1.7",
        "future": {"a": 1},
        "selection": {"kind": "adql", "condition": "SQRT(x) < 3 OR y BETWEEN 1 AND 2"},
        "plots": [{"id": "mine", "kind": "line"}],
        "sort": [{"column": "a"}, {"column": "b"}],
        "image": {"any": "thing"},
    }
    viewed, unshown = read_view(document)
    assert viewed.document() == document
    assert len(unshown) == 3
    assert viewed.is_chosen_elsewhere


@pytest.mark.parametrize("is_text", [False, True])
def test_rows_selected_on_the_map_are_named_by_their_identifier_and_found_again(*, is_text: bool) -> None:
    result = stars(40)
    if is_text:
        table = result.table.set_column(0, "id", result.table.column("id").cast("string"))
        result = type(result)(table=table, columns=COLUMNS)
    selected = np.arange(40) % 3 == 1
    picked = picked_rows(result, selected)
    assert (rows_picked(result, picked) == selected).all()
    assert picked_rows(stars(5_001), np.ones(5_001, dtype=bool)) is None


def test_quantities_of_a_view_are_found_among_the_columns_of_another_result() -> None:
    (difference,) = colour_axes(COLUMNS)
    assert difference.expression == "g_mag - r_mag"
    assert (axis_of(difference.expression, COLUMNS).column, axis_of(difference.expression, COLUMNS).minus) == (
        "g_mag",
        "r_mag",
    )
    assert axis_of("g_mag - z_mag", COLUMNS) is None
    assert axis_of("SQRT(g_mag)", COLUMNS) is None
