"""Bad files: what is wrong is listed by row and column, nothing is imported, and nothing is left."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from pachon.core.fields import arrow_schema
from pachon.releases.importing import ImportFindingsError, import_table
from pachon.releases.importing.duplicates import duplicate_keys
from pachon.releases.importing.models import Problem
from pachon.releases.models import Table
from support.imports import STARS, described, write_csv, write_csv_gz, write_fits, write_parquet
from support.skies import FIRST_ID, make_stars

ROWS = 2_000
Found = tuple[Problem, int | None, str | None]


@pytest.fixture(scope="module")
def stars() -> pa.Table:
    return make_stars(ROWS).cast(arrow_schema(tuple(column.field for column in STARS.columns)))


def _refused(files: list[Path], folder: Path, table: Table = STARS) -> ImportFindingsError:
    with pytest.raises(ImportFindingsError) as caught:
        import_table(files, table, folder, partition_rows=500)
    assert not folder.exists() or not list(folder.iterdir())
    return caught.value


def _found(error: ImportFindingsError) -> list[Found]:
    return [(finding.problem, finding.row, finding.column) for finding in error.findings]


def _with(rows: pa.Table, column: str, values: dict[int, Any], kind: pa.DataType | None = None) -> pa.Table:
    """Rows with other values in a column, by row number from 1."""
    changed = rows[column].to_pylist()
    for row, value in values.items():
        changed[row - 1] = value
    return rows.set_column(rows.column_names.index(column), column, pa.array(changed, kind or rows[column].type))


class Value(NamedTuple):
    """A wrong value in a file, and what is said of it."""

    suffix: str
    column: str
    value: Any
    problem: Problem
    message: str


WRITERS: dict[str, Callable[[pa.Table, Path], Path]] = {"csv": write_csv, "fits": write_fits, "parquet": write_parquet}
VALUES = [
    Value("csv", "ra", None, Problem.MISSING_VALUE, "must have one"),
    Value("parquet", "ra", float("nan"), Problem.MISSING_VALUE, "must have one"),
    Value("parquet", "ra", 360.0, Problem.WRONG_POSITION, "360 is no right ascension: 0 <= RA < 360; write 0 instead"),
    Value("csv", "ra", -0.5, Problem.WRONG_POSITION, "whole circles"),
    Value("fits", "dec", 90.5, Problem.WRONG_POSITION, "-90 <= Dec <= 90"),
    Value("parquet", "dec", float("inf"), Problem.INFINITE, "infinite"),
    Value("csv", "g_mag", float("-inf"), Problem.INFINITE, "infinite"),
    Value("csv", "id", None, Problem.MISSING_VALUE, "must have one"),
    Value("fits", "id", FIRST_ID, Problem.DUPLICATE, f"{FIRST_ID} is already that of stars.fits, row 1"),
]
TEXTS = [
    Value("csv", "id", "1.7e17", Problem.LOST_DIGITS, "'1.7e17' was a floating-point number, which loses digits"),
    Value("csv", "id", "9007199254740993.0", Problem.LOST_DIGITS, "floating-point"),
    Value("csv", "id", "170000000000000123.0", Problem.LOST_DIGITS, "floating-point"),
    Value("csv", "id", "9223372036854775808", Problem.WRONG_VALUE, "is not a value of type long"),
    Value("csv", "id", "7.5", Problem.WRONG_VALUE, "'7.5' is not a value of type long"),
    Value("csv", "r_mag", "bright", Problem.WRONG_VALUE, "'bright' is not a value of type float"),
    Value("csv", "is_variable", "maybe", Problem.WRONG_VALUE, "boolean"),
    Value("csv", "epoch", "yesterday", Problem.WRONG_VALUE, "timestamp"),
]


@pytest.mark.parametrize("case", [*VALUES, *TEXTS], ids=lambda case: f"{case.suffix} {case.column} {case.value}")
def test_a_wrong_value_is_found_by_its_row_and_column(stars: pa.Table, tmp_path: Path, case: Value) -> None:
    is_text = isinstance(case.value, str)
    place = stars.column_names.index(case.column)
    rows = stars.set_column(place, case.column, stars[case.column].cast(pa.string())) if is_text else stars
    file = WRITERS[case.suffix](_with(rows, case.column, {1_777: case.value}), tmp_path / f"stars.{case.suffix}")
    error = _refused([file], tmp_path / "table")
    assert _found(error) == [(case.problem, 1_777, case.column)]
    assert f"stars.{case.suffix}, row 1777, column {case.column}: " in error.message
    assert case.message in error.message
    assert error.message.startswith(f"Nothing was imported into 'sky.stars', because of {case.problem.value} (1):\n")


def test_identifiers_that_came_through_doubles_are_refused(stars: pa.Table, tmp_path: Path) -> None:
    doubles = stars.set_column(0, "id", pa.array(stars["id"].to_numpy().astype(np.float64) * 4))
    error = _refused([write_parquet(doubles, tmp_path / "stars.parquet")], tmp_path / "table")
    assert error.counts == {Problem.LOST_DIGITS: ROWS}
    assert len(error.findings) == 20
    assert f"and {ROWS - 20:,} more." in error.message


def test_doubles_are_not_rounded_to_floats(stars: pa.Table, tmp_path: Path) -> None:
    doubles = _with(stars, "r_mag", {9: 20.123456789}, pa.float64())
    error = _refused([write_parquet(doubles, tmp_path / "stars.parquet")], tmp_path / "table")
    assert _found(error) == [(Problem.WRONG_VALUE, 9, "r_mag")]


def test_missing_and_unknown_columns_are_found_with_the_nearest_names(stars: pa.Table, tmp_path: Path) -> None:
    renamed = stars.rename_columns(["id", "raj", "dec", "g_mag", "r_mag", "label", "epoch", "is_variable"])
    error = _refused([write_csv(renamed, tmp_path / "stars.csv")], tmp_path / "table")
    assert set(_found(error)) == {
        (Problem.MISSING_COLUMN, None, "ra"),
        (Problem.MISSING_COLUMN, None, "name"),
        (Problem.UNKNOWN_COLUMN, None, "raj"),
        (Problem.UNKNOWN_COLUMN, None, "label"),
    }
    assert "column ra: the file has no such column; the nearest is raj." in error.message


def test_a_column_of_another_kind_is_found_before_any_row_is_read(stars: pa.Table, tmp_path: Path) -> None:
    texts = stars.set_column(4, "r_mag", stars["r_mag"].cast(pa.string()))
    error = _refused([write_parquet(texts, tmp_path / "stars.parquet")], tmp_path / "table")
    assert _found(error) == [(Problem.WRONG_TYPE, None, "r_mag")]
    assert "the file has string, the schema float" in error.message


@pytest.mark.parametrize("suffix", ["fits", "vot"])
@pytest.mark.parametrize(("unit", "told"), [(None, "none"), ("m", "'m'"), ("furlongs", "'furlongs'")])
def test_a_missing_or_foreign_unit_is_found(
    stars: pa.Table, tmp_path: Path, suffix: str, unit: str | None, told: str
) -> None:
    file = write_fits(stars, tmp_path / "stars.fits")
    if suffix == "vot":
        file = tmp_path / "stars.vot"
        described(stars).write(file, format="votable", tabledata_format="binary")
    text = file.read_bytes()
    changed = {
        "fits": (b"'deg     '", f"'{unit or '':8}'".encode()),
        "vot": (b'unit="deg"', f'unit="{unit}"'.encode() if unit else b""),
    }[suffix]
    assert changed[0] in text
    file.write_bytes(text.replace(*changed, 1))
    error = _refused([file], tmp_path / "table")
    assert _found(error) == [(Problem.WRONG_UNIT, None, "ra")]
    assert f"the unit is 'deg' in the schema and {told} in the file" in error.message


def test_columns_that_the_schema_says_are_never_empty_are_held_to_it(stars: pa.Table, tmp_path: Path) -> None:
    (*others, last) = STARS.columns
    strict = dataclasses.replace(last, field=dataclasses.replace(last.field, nullable=False))
    table = dataclasses.replace(STARS, columns=(*others, strict))
    file = write_parquet(_with(stars, "is_variable", {5: None, 6: None}), tmp_path / "stars.parquet")
    error = _refused([file], tmp_path / "table", table)
    assert _found(error) == [(Problem.MISSING_VALUE, row, "is_variable") for row in (5, 6)]


def test_duplicates_are_found_across_files_also_of_texts(stars: pa.Table, tmp_path: Path) -> None:
    named = _with(stars, "name", {row: f"N{row}" for row in range(1, ROWS + 1)})
    table = dataclasses.replace(STARS, id_column=None, primary_key=("name", "epoch"))
    files = [write_csv(named, tmp_path / "a.csv"), write_parquet(named.slice(41, 2), tmp_path / "b.parquet")]
    error = _refused(files, tmp_path / "table", table)
    assert [(finding.file, finding.row) for finding in error.findings] == [("b.parquet", 1), ("b.parquet", 2)]
    assert "the identifier N42 " in error.message
    assert "is already that of a.csv, row 42" in error.message


def test_duplicates_are_found_share_by_share() -> None:
    random = np.random.default_rng(7)
    ids = random.permutation(np.concatenate([np.arange(10_000) * 1_000, np.arange(0, 10_000, 100) * 1_000]))
    batches = [pa.record_batch({"id": part}) for part in np.array_split(ids, 13)]
    texts = [pa.record_batch({"id": batch.column(0).cast(pa.string())}) for batch in batches]
    assert sorted(duplicate_keys(lambda: batches, len(ids), at_once=900)) == list(range(0, 10_000_000, 100_000))
    assert len(duplicate_keys(lambda: texts, len(ids), at_once=900)) == 100


def _truncated(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def _flipped(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def _uneven(path: Path) -> Path:
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = "1,2,3\n"
    path.write_text("".join(lines))
    return path


def _votable(rows: pa.Table, path: Path) -> Path:
    described(rows).write(path, format="votable", tabledata_format="binary2")
    return path


class Damage(NamedTuple):
    """A file that is damaged after it was written, and what is said of it."""

    name: str
    write: Callable[[pa.Table, Path], Path]
    harm: Callable[[Path], Path]
    row: int | None
    message: str


DAMAGES = [
    Damage("cut.parquet", write_parquet, _truncated, None, "no Parquet file"),
    Damage("bent.parquet", write_parquet, _flipped, None, "damaged"),
    Damage("cut.csv.gz", write_csv_gz, _truncated, None, "damaged"),
    Damage("uneven.csv", write_csv, _uneven, 5, "the row has 3 values, and there are 8 columns"),
    Damage("cut.fits", write_fits, _truncated, 1_328, "its header promises 2000 rows"),
    Damage("cut.vot", _votable, _truncated, None, "the document ends before its first TABLE does, or has none"),
]


@pytest.mark.parametrize("case", DAMAGES, ids=lambda case: case.name)
def test_a_damaged_file_is_told_as_one(stars: pa.Table, tmp_path: Path, case: Damage) -> None:
    error = _refused([case.harm(case.write(stars, tmp_path / case.name))], tmp_path / "table")
    (finding,) = error.findings
    assert (finding.problem, finding.row) == (Problem.UNREADABLE, case.row)
    assert case.message in finding.message


def test_files_of_another_format_than_their_name_says_are_told_as_such(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.fits", "a.vot"):
        (tmp_path / name).write_text("id,ra,dec\n1,2,3\n")
        error = _refused([tmp_path / name], tmp_path / "table")
        assert _found(error) == [(Problem.UNREADABLE, None, None)]


def test_a_file_without_rows_is_found(stars: pa.Table, tmp_path: Path) -> None:
    error = _refused([write_csv(stars.slice(0, 0), tmp_path / "stars.csv")], tmp_path / "table")
    assert _found(error) == [(Problem.EMPTY, None, None)]


def test_everything_that_is_wrong_is_told_at_once_in_order_of_rows(stars: pa.Table, tmp_path: Path) -> None:
    rows = _with(_with(stars, "ra", {30: 360.0, 20: 400.0}), "dec", {10: -91.0})
    error = _refused([write_csv(_with(rows, "id", {40: None}), tmp_path / "stars.csv")], tmp_path / "table")
    assert _found(error) == [
        (Problem.WRONG_POSITION, 10, "dec"),
        (Problem.WRONG_POSITION, 20, "ra"),
        (Problem.WRONG_POSITION, 30, "ra"),
        (Problem.MISSING_VALUE, 40, "id"),
    ]
    assert error.counts == {Problem.WRONG_POSITION: 3, Problem.MISSING_VALUE: 1}


def test_a_column_that_is_there_twice_is_found(stars: pa.Table, tmp_path: Path) -> None:
    twice = stars.append_column("r_mag", stars["g_mag"])
    error = _refused([write_csv(twice, tmp_path / "stars.csv")], tmp_path / "table")
    assert _found(error) == [(Problem.UNKNOWN_COLUMN, None, "r_mag")]


def test_a_text_in_another_encoding_is_found_in_fits(stars: pa.Table, tmp_path: Path) -> None:
    file = write_fits(stars, tmp_path / "stars.fits")
    row = stars["name"].to_pylist().index("Star 1777") + 1
    file.write_bytes(file.read_bytes().replace(b"Star 1777", b"St\xe9r 1777"))
    error = _refused([file], tmp_path / "table")
    assert _found(error) == [(Problem.WRONG_VALUE, row, "name")]
    assert "St\\xe9r 1777" in error.message


def test_a_text_in_another_encoding_is_found_in_votable(stars: pa.Table, tmp_path: Path) -> None:
    file = _votable(stars, tmp_path / "stars.vot")
    stream = file.read_bytes().partition(b'<STREAM encoding="base64">')[2].partition(b"</STREAM>")[0]
    half_a_pair = base64.b64decode(stream).replace("S".encode("utf-16-be"), b"\xd8\x00")
    file.write_bytes(file.read_bytes().replace(stream, base64.b64encode(half_a_pair)))
    error = _refused([file], tmp_path / "table")
    assert _found(error) == [(Problem.UNREADABLE, None, None)]
    assert "which is no unicodeChar" in error.message
