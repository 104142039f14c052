from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pachon.portal.compute import table_frame


def a_result() -> Any:
    columns = {
        "id": pa.array([2**60 + 1, 2**60 + 3, 2**60 + 5]),
        "hip": pa.array([7, None, 9], pa.int64()),
        "count": pa.array([1, 2, 3], pa.int32()),
    }
    return SimpleNamespace(table=pa.table(columns))


@pytest.mark.parametrize(
    ("selected", "kept"), [(None, [0, 1, 2]), ([True, False, True], [0, 2]), ([False, False, False], [])]
)
def test_the_table_shows_every_row_once_from_the_first_to_the_last(
    selected: list[bool] | None, kept: list[int]
) -> None:
    frame = table_frame(a_result(), None if selected is None else np.array(selected))
    assert list(frame.index) == list(range(1, len(kept) + 1))
    assert list(frame["id"]) == [str(2**60 + 1 + 2 * row) for row in kept]
    assert list(frame["count"]) == [1 + row for row in kept]
    assert str(frame["hip"].dtype) == "Int64"
    assert str(frame["count"].dtype) == "int32"
