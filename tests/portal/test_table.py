from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pachon.core.errors import UsageError
from pachon.portal.compute import in_ranges, parse_range, row_order, sortable_columns, table_page

IDS = [2**60 + 5, 2**60 + 1, 1, 2**60 + 3]


def a_result() -> Any:
    columns = {
        "id": pa.array(IDS),
        "hip": pa.array([7, None, 9, 8], pa.int64()),
        "count": pa.array([1, 2, 3, 4], pa.int32()),
        "place": pa.array([[1.0, 2.0]] * 4),
    }
    return SimpleNamespace(table=pa.table(columns))


@pytest.mark.parametrize(
    ("selected", "by", "falling", "listed"),
    [
        (None, None, False, [0, 1, 2, 3]),
        ([True, False, True, True], None, False, [0, 2, 3]),
        (None, "id", False, [2, 1, 3, 0]),
        ([True, True, False, True], "id", True, [0, 3, 1]),
        (None, "hip", False, [0, 3, 2, 1]),
        ([False] * 4, None, False, []),
    ],
)
def test_pages_list_every_wanted_row_once_in_the_order_of_a_column(
    *, selected: list[bool] | None, by: str | None, falling: bool, listed: list[int]
) -> None:
    result = a_result()
    order = row_order(result, None if selected is None else np.array(selected), by=by, falling=falling)
    pages = [table_page(result, order, first=first, count=2) for first in range(0, 4, 2)]
    assert [number for page in pages for number in page.index] == list(range(1, len(listed) + 1))
    assert [text for page in pages for text in page["id"]] == [str(IDS[row]) for row in listed]
    assert {str(page["hip"].dtype) for page in pages} == {"Int64"}
    assert {str(page["count"].dtype) for page in pages} == {"int32"}


def test_only_columns_whose_values_have_an_order_are_offered_for_sorting() -> None:
    assert sortable_columns(a_result()) == ["id", "hip", "count"]


def test_typed_ranges_select_rows_and_an_empty_side_or_quantity_is_open() -> None:
    x, y = np.array([1.0, 2.0, 3.0, np.nan]), np.array([9.0, 8.0, np.nan, 7.0])
    open_range = parse_range("", " ", name="y")
    assert in_ranges([x, y], [parse_range("2", "", name="x"), open_range]).tolist() == [False, True, True, False]
    assert in_ranges([x, y], [open_range, parse_range("8.5", "7", name="y")]).tolist() == [False, True, False, True]
    assert in_ranges([x, y], [open_range, open_range]) is None
    with pytest.raises(UsageError, match="x to must be a number, or empty for no bound, not '1O'"):
        parse_range("1", "1O", name="x")
