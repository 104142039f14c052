from __future__ import annotations

import io
import math
import subprocess
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse

from pachon.core.errors import UnavailableError
from pachon.vo import votable
from pachon.vo.models import Heading, Info
from support.rows import BIG, EVERY_KIND, ROWS, HeldRows, every_kind
from support.stilts import needs_stilts

WRITERS = {"BINARY2": votable.write_binary2, "TABLEDATA": votable.write_tabledata, "BINARY": votable.write_binary}


def document(name: str, rows: HeldRows, heading: Heading | None = None) -> bytes:
    return b"".join(WRITERS[name](rows, heading or Heading()))


def read(content: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parse(io.BytesIO(content))


def statuses(content: bytes) -> list[str]:
    infos = read(content).resources[0].infos
    return [info.value for info in infos if info.name == "QUERY_STATUS"]


@pytest.mark.parametrize("name", WRITERS)
def test_every_type_null_and_edge_value_comes_back_from_astropy(name: str) -> None:
    table = read(document(name, every_kind())).get_first_table().array

    for column, field in enumerate(EVERY_KIND):
        for row, values in enumerate(ROWS):
            assert_same(table[field.name][row], values[column], field.name, name)
    assert table["id"][0] == BIG


def assert_same(got: object, expected: object, field: str, writer: str) -> None:
    match expected:
        case None if field in {"name", "at"}:
            assert got == ""
        case None | float() if expected is None or math.isnan(expected):
            assert np.all(np.ma.getmaskarray(np.ma.asarray(got))) or np.all(np.isnan(got)), field
        case float():
            assert np.float32(got) == np.float32(expected), field
        case list():
            assert list(np.atleast_1d(got)) == expected
        case datetime():
            assert got == f"{expected:%Y-%m-%dT%H:%M:%S.%f}"
        case str():  # astropy strips the texts of TABLEDATA
            assert got == (expected.strip() if writer == "TABLEDATA" else expected), field
        case _:
            assert got == expected, field


@pytest.mark.parametrize("name", WRITERS)
def test_fields_carry_their_metadata(name: str) -> None:
    fields = {field.name: field for field in read(document(name, every_kind())).get_first_table().fields}

    assert fields["name"].description == "A <name> & more"
    assert (fields["ra"].ucd, str(fields["ra"].unit)) == ("pos.eq.ra;meta.main", "deg")
    assert (fields["at"].datatype, fields["at"].arraysize, fields["at"].xtype) == ("char", "*", "timestamp")
    assert (fields["place"].arraysize, fields["place"].xtype) == ("2", "point")


@pytest.mark.parametrize("name", WRITERS)
def test_an_answer_without_rows_still_describes_its_columns(name: str) -> None:
    table = read(document(name, HeldRows(EVERY_KIND, []))).get_first_table()

    assert len(table.array) == 0
    assert [field.name for field in table.fields] == [field.name for field in EVERY_KIND]


@pytest.mark.parametrize("name", WRITERS)
def test_overflow_is_told_after_the_rows(name: str) -> None:
    content = document(name, every_kind(overflow=True))

    assert statuses(content) == ["OK", "OVERFLOW"]
    assert content.index(b"OVERFLOW") > content.index(b"</TABLE>")


@pytest.mark.parametrize("name", WRITERS)
def test_a_failure_after_the_first_rows_closes_the_document_and_says_so(name: str) -> None:
    content = document(name, every_kind(failure=UnavailableError("The worker ended.")))

    assert statuses(content) == ["OK", "ERROR"]
    assert b"The worker ended." in content
    assert len(read(content).get_first_table().array) == len(ROWS)


def test_hostile_texts_stay_texts() -> None:
    heading = Heading(infos=(Info("QUERY", 'SELECT "a" < \x00 </INFO><script>', "]]> &"),))

    info = read(document("TABLEDATA", every_kind(), heading)).resources[0].infos[1]

    assert (info.value, info.content) == ('SELECT "a" < \ufffd </INFO><script>', "]]> &")


def test_a_large_batch_is_written_in_bounded_chunks() -> None:
    rows = every_kind()
    rows.held = pa.Table.from_batches(rows.held * 60_000).combine_chunks().to_batches()

    chunks = [len(chunk) for chunk in WRITERS["BINARY2"](rows, Heading())]

    assert max(chunks) < 12 * 1024**2
    assert len(chunks) > 5


@needs_stilts
@pytest.mark.parametrize("name", WRITERS)
def test_votlint_finds_nothing_to_complain_about(name: str, tmp_path: Path) -> None:
    rows = every_kind(overflow=True)  # its check of arrays of varying length is faulty, so without the last column
    columns = list(range(len(EVERY_KIND) - 1))
    rows = HeldRows(EVERY_KIND[:-1], [batch.select(columns) for batch in rows.held], overflow=True)
    file = tmp_path / "answer.vot"
    file.write_bytes(document(name, rows, Heading(description="Rows", infos=(Info("A", "b"),))))

    done = subprocess.run(["stilts", "votlint", str(file)], capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout + done.stderr).strip() == ""
