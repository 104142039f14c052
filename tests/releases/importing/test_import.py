"""What every format brings in, and how often it may be interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.importing import import_table
from pachon.releases.models import Column, Table
from support.imports import FORMATS, NO_SKY, STARS, described, stored_rows, write_csv, write_fits, write_parquet
from support.skies import make_stars

ROWS = 5_000


@pytest.fixture(scope="module")
def stars() -> pa.Table:
    return make_stars(ROWS).cast(arrow_schema(tuple(column.field for column in STARS.columns)))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_brings_in_the_same_rows(stars: pa.Table, tmp_path: Path, name: str) -> None:
    file = FORMATS[name](stars, tmp_path / name)
    done: list[int] = []
    report = import_table([file], STARS, tmp_path / "table", report=done.append, partition_rows=1_000)
    catalogue = HatsCatalogue(tmp_path / "table")
    assert catalogue.partitions == report.partitions
    assert report.row_count == catalogue.row_count == done[-1] == ROWS
    assert stored_rows(catalogue.partitions).equals(stars.combine_chunks())


def test_several_files_become_one_table_and_columns_may_stand_in_any_order_and_case(
    stars: pa.Table, tmp_path: Path
) -> None:
    turned = stars.select(stars.column_names[::-1]).rename_columns([name.upper() for name in stars.column_names[::-1]])
    files = [write_csv(turned.slice(0, 2_000), tmp_path / "a.csv"), write_fits(stars.slice(2_000), tmp_path / "b.fits")]
    import_table(files, STARS, tmp_path / "table")
    assert stored_rows(HatsCatalogue(tmp_path / "table").partitions).equals(stars.combine_chunks())


def test_what_was_exported_can_be_imported_again(stars: pa.Table, tmp_path: Path) -> None:
    import_table([write_parquet(stars, tmp_path / "stars.parquet")], STARS, tmp_path / "one")
    import_table([tmp_path / "one" / "dataset"], STARS, tmp_path / "two")
    assert stored_rows(HatsCatalogue(tmp_path / "two").partitions).equals(stars.combine_chunks())


def test_a_table_without_positions_is_kept_in_the_order_of_its_rows(stars: pa.Table, tmp_path: Path) -> None:
    report = import_table([write_csv(stars, tmp_path / "stars.csv")], NO_SKY, tmp_path / "table", partition_rows=1_999)
    catalogue = HatsCatalogue(tmp_path / "table")
    assert [part.row_count for part in catalogue.partitions] == [1_999, 1_999, 1_002]
    assert catalogue.partitions == report.partitions
    rows = pa.concat_tables(pq.read_table(part.path) for part in catalogue.partitions)
    assert rows.combine_chunks().equals(stars.combine_chunks())


def test_units_of_the_file_are_converted_to_those_of_the_schema(stars: pa.Table, tmp_path: Path) -> None:
    table = described(stars)
    table["ra"] = np.radians(stars["ra"].to_numpy())
    table["ra"].unit = "rad"
    table["g_mag"].unit = "mmag"
    table["dec"].unit = "degree"
    table.write(tmp_path / "stars.fits", format="fits")
    import_table([tmp_path / "stars.fits"], STARS, tmp_path / "table")
    rows = stored_rows(HatsCatalogue(tmp_path / "table").partitions)
    assert np.allclose(rows["ra"].to_numpy(), stars["ra"].to_numpy(), rtol=0, atol=1e-12)
    expected = stars["g_mag"].to_numpy() / 1000
    assert np.allclose(rows["g_mag"].to_numpy(), expected, rtol=1e-6, equal_nan=True)
    assert (rows["g_mag"].null_count, rows["dec"]) == (stars["g_mag"].null_count, stars.combine_chunks()["dec"])


def test_numbers_of_another_type_are_taken_when_nothing_is_lost(tmp_path: Path) -> None:
    fields = (
        Field(name="id", datatype=DataType.LONG),
        Field(name="visits", datatype=DataType.SHORT),
        Field(name="corners", datatype=DataType.DOUBLE, arraysize="4"),
    )
    table = Table(schema="sky", name="counts", description="", columns=tuple(Column(field=field) for field in fields))
    rows = pa.table(
        {
            "id": pa.array([2.0, None, float(2**53 - 1)]),
            "visits": pa.array([1, -7, 32_767], pa.int64()),
            "corners": pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], pa.list_(pa.float32())),
        }
    )
    report = import_table([write_parquet(rows, tmp_path / "counts.parquet")], table, tmp_path / "table")
    stored = pq.read_table(report.partitions[0].path)
    assert stored.schema.types == [field.arrow_type for field in fields]
    assert stored.to_pydict() == {
        "id": [2, None, 2**53 - 1],
        "visits": [1, -7, 32_767],
        "corners": [[1, 2, 3, 4], None, [5, 6, 7, 8]],
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nowhere.csv"], "There is no file"),
        (["stars.dat"], "must end in one of"),
        ([], "at least one"),
        ([""], "no Parquet"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "stars.dat").write_text("")
    with pytest.raises(UsageError, match=message):
        import_table([tmp_path / name for name in names], replace(STARS), tmp_path / "table")
    assert not (tmp_path / "table").exists()
