import io
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import votable

from pachon.core.errors import LimitError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.portal.downloads import FORMS, Downloads, Kept, ResultRows, fields_of
from pachon.vo.columnar import write_arrow
from pachon.vo.models import Heading
from pachon_client import Result
from pachon_client.result import columns_of

FIELDS = (
    Field(name="id", datatype=DataType.LONG, ucd="meta.id;meta.main", description="Longer than <a float>"),
    Field(name="g_mag", datatype=DataType.FLOAT, unit="mag", ucd="phot.mag"),
    Field(name="name", datatype=DataType.CHAR, arraysize="*"),
    Field(name="place", datatype=DataType.DOUBLE, arraysize="2", xtype="point", unit="deg"),
    Field(name="epoch", datatype=DataType.TIMESTAMP, xtype="timestamp", ucd="time.epoch"),
    Field(name="is_variable", datatype=DataType.BOOLEAN),
)


def a_result(*, overflow: bool = False) -> Result:
    """As the client reads what the platform sends."""
    rows = {
        "id": [2**60 + 1, 2**60 + 3],
        "g_mag": [12.5, None],
        "name": ["a, b", None],
        "place": [[1.0, 2.0], [3.0, 4.0]],
        "epoch": [np.datetime64("2026-01-02T03:04:05.000006"), None],
        "is_variable": [True, None],
    }
    sent = pa.table(rows, schema=arrow_schema(FIELDS))
    answer = SimpleNamespace(fields=FIELDS, batches=iter(sent.to_batches()), overflow=overflow)
    with pa.ipc.open_stream(b"".join(write_arrow(answer, Heading()))) as reader:
        table = reader.read_all()
    return Result(table=table, columns=columns_of(table.schema), overflow=overflow, execution_id="run-1")


def written(extension: str, result: Result) -> bytes:
    chunks: Iterator[bytes] = FORMS[extension].write(ResultRows(result), Heading())
    return b"".join(chunks)


def test_all_that_the_platform_said_of_a_column_is_known_again() -> None:
    assert fields_of(a_result().table.schema) == FIELDS


def test_a_votable_holds_the_rows_their_units_and_that_there_are_more() -> None:
    document = written("vot", a_result(overflow=True))
    table = votable.parse(io.BytesIO(document)).get_first_table()
    assert list(table.array["id"]) == [2**60 + 1, 2**60 + 3]
    assert table.get_field_by_id_or_name("g_mag").unit == "mag"
    assert table.array["g_mag"].mask.tolist() == [False, True]
    assert b'value="OVERFLOW"' in document


def test_csv_and_parquet_hold_the_same_rows() -> None:
    lines = written("csv", a_result()).decode().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(f'{2**60 + 1},12.5,"a, b"')
    table = pa.parquet.read_table(pa.BufferReader(written("parquet", a_result())))
    assert table.column("id").to_pylist() == [2**60 + 1, 2**60 + 3]
    assert table.schema.field("g_mag").metadata[b"unit"] == b"mag"


@pytest.mark.parametrize("owner", ["novice", "another"])
def test_a_result_is_given_to_its_owner_only_and_not_after_it_was_dropped(owner: str) -> None:
    offered = Downloads()
    key = offered.keep(Kept("novice", "SELECT 1", a_result()), given_up=print)
    assert (offered.find(key, owner) is not None) == (owner == "novice")
    offered.drop(key)
    assert offered.find(key, owner) is None


def test_the_oldest_results_of_a_person_and_of_the_process_are_given_up_for_newer_ones() -> None:
    size = Kept("novice", "SELECT 1", a_result()).size_bytes
    offered, gone = Downloads(limit_bytes=3 * size, limit_per_person_bytes=2 * size), []

    def keep(owner: str) -> str:
        return offered.keep(Kept(owner, "SELECT 1", a_result()), given_up=gone.append)

    first, second, other = keep("novice"), keep("novice"), keep("astronomer")
    assert gone == []
    third = keep("novice")
    assert gone == [first]
    keep("astronomer")
    assert gone == [first, second]
    assert offered.find(other, "astronomer")
    assert offered.find(third, "novice")
    assert not offered.find(first, "novice")


def test_a_result_larger_than_the_limit_is_refused_with_both_sizes_and_nothing_is_given_up_for_it() -> None:
    size = Kept("novice", "SELECT 1", a_result()).size_bytes
    offered, gone = Downloads(limit_per_person_bytes=size), []
    offered.keep(Kept("novice", "SELECT 1", a_result()), given_up=gone.append)
    large = a_result().table
    large = Result(table=large.take([0] * 9), columns=columns_of(large.schema))
    with pytest.raises(LimitError, match=r"9 rows take .* MiB; the Portal shows results up to"):
        offered.keep(Kept("novice", "SELECT 1", large), given_up=gone.append)
    assert gone == []
