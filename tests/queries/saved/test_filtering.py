"""Filters and selections of a view state, on rows whose values are known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pachon.core.errors import UsageError
from pachon.queries.saved.filtering import Condition
from pachon.queries.saved.view_state import Filter, ViewState

BIG = 2**53 + 1
DAYS = [datetime(2026, 1, day, tzinfo=UTC).replace(tzinfo=None) for day in (1, 2, 3, 4)]
ROWS = pa.record_batch({
    "id": pa.array([BIG, BIG + 1, BIG + 2, None], pa.int64()),
    "x": pa.array([0.0, 1.0, float("nan"), None], pa.float64()),
    "y": pa.array([0.5, 0.5, 0.5, 0.5], pa.float32()),
    "name": ["Sirius", "sirius B", None, "Vega"],
    "at": pa.array(DAYS, pa.timestamp("us")),
    "corner": [[1.0], [2.0], [3.0], None],
})  # fmt: skip


def passing(*filters: dict[str, Any], **view: Any) -> list[int]:
    mask = Condition.of_view(ViewState.model_validate({"filters": list(filters), **view})).mask(ROWS)
    assert mask.null_count == 0
    return [place for place, passes in enumerate(mask.to_pylist()) if passes]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"column": "id", "op": "=", "value": str(BIG)}, [0]),
        ({"column": "id", "op": "in", "values": [str(BIG + 1), BIG + 2]}, [1, 2]),
        ({"column": "id", "op": ">", "value": 0.5}, [0, 1, 2]),
        ({"column": "x", "op": "!=", "value": 1}, [0, 2]),
        ({"column": "x", "op": "between", "values": [1, 0]}, [0, 1]),
        ({"column": "x", "op": "is null"}, [3]),
        ({"column": "x", "op": "is not null"}, [0, 1, 2]),
        ({"column": "name", "op": "contains", "value": "SIRI"}, [0, 1]),
        ({"column": "name", "op": "starts with", "value": "ve"}, [3]),
        ({"column": "name", "op": "<", "value": "T"}, [0]),
        ({"column": "at", "op": ">=", "value": "2026-01-03T00:00:00Z"}, [2, 3]),
        ({"column": "corner", "op": "is null"}, [3]),
    ],
)
def test_a_filter_keeps_the_rows_whose_value_compares_so(given: dict[str, Any], found: list[int]) -> None:
    assert passing(given) == found


def test_a_polygon_keeps_what_is_inside_and_never_what_has_no_place() -> None:
    square = {"kind": "polygon", "x": "x", "y": "y", "vertices": [[-1, 0], [0.5, 0], [0.5, 1], [-1, 1]]}
    assert passing(selection=square) == [0]
    shallow, deep = (square | {"vertices": [[-1, 0], [2, 0], [2, 1], [0.5, notch], [-1, 1]]} for notch in (0.6, 0.2))
    assert (passing(selection=shallow), passing(selection=deep)) == ([0, 1], [])


def test_rows_that_were_picked_pass_and_filters_count_as_well() -> None:
    picked = {"kind": "rows", "column": "id", "values": [str(BIG), str(BIG + 1)]}
    assert passing({"column": "x", "op": ">", "value": 0}, selection=picked) == [1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"column": "id", "op": "=", "value": "9" * 30}, "'id' is int64"),
        ({"column": "id", "op": "=", "value": True}, "'id' is int64"),
        ({"column": "x", "op": "=", "value": None}, "use 'is null'"),
        ({"column": "x", "op": "between", "values": [1]}, "needs two values"),
        ({"column": "at", "op": "<", "value": "yesterday"}, "'at' is timestamp"),
        ({"column": "corner", "op": "=", "value": 1}, "holds lists"),
    ],
)
def test_a_value_that_does_not_fit_is_explained(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Condition((Filter.model_validate(given),)).mask(ROWS)


def test_a_selection_by_places_counts_them_from_the_beginning_of_the_result() -> None:
    chosen = np.zeros(len(ROWS) + 5, bool)
    chosen[5] = True
    mask = Condition((Filter(column="id", op="is not null"),), rows=chosen).mask(ROWS, first=5)
    assert mask.to_pylist() == [True] + [False] * (len(ROWS) - 1)
