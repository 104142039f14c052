from __future__ import annotations

import csv
import io
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse

from pachon.core.errors import UnavailableError, UsageError
from pachon.vo import formats
from pachon.vo.dali import Parameters
from pachon.vo.formats import Format
from pachon.vo.models import Heading, Info
from support.rows import BIG, EVERY_KIND, ROWS, HeldRows, every_kind

NAMES = [field.name for field in EVERY_KIND]


def document(form: Format, rows: HeldRows) -> bytes:
    return b"".join(form.write(rows, Heading(infos=(Info("RUNID", "mine"),))))


def chosen(default: Format = formats.BINARY2, **given: str) -> Format:
    return formats.choose(Parameters.from_pairs(given.items()), default=default)


def test_csv_is_read_back_by_the_standard_reader() -> None:
    header, *rows = csv.reader(io.StringIO(document(formats.CSV, every_kind()).decode(), newline=""))

    assert header == NAMES
    assert [row[3] for row in rows] == ['Ve"ga, <&> é\t\\', "", "", " line\nbreak "]
    assert [row[5] for row in rows] == [str(BIG), str(-BIG), "", "1"]
    assert rows[1][6:8] == ["+Inf", "-Inf"]
    assert rows[0][8:] == ["2026-01-02T03:04:05.000600", "1.5 -2.5", "0 1 2 3 4 5.5"]
    assert rows[2] == [""] * len(NAMES)


def test_csv_tells_an_empty_text_from_a_null() -> None:
    lines = document(formats.CSV, every_kind()).decode().split("\r\n")

    assert lines[2].split(",")[3] == '""'
    assert lines[3] == "," * (len(NAMES) - 1)


def test_tsv_keeps_one_line_a_row() -> None:
    lines = document(formats.TSV, every_kind()).decode().split("\n")

    assert lines[0].split("\t") == NAMES
    assert [len(line.split("\t")) for line in lines[:-1]] == [len(NAMES)] * 5
    assert lines[1].split("\t")[3] == 'Ve"ga, <&> é \\'


def test_json_keeps_long_ids_as_texts_and_has_no_bare_nan() -> None:
    told = json.loads(document(formats.JSON, every_kind(overflow=True)), parse_constant=pytest.fail)

    assert told["query_status"] == "OVERFLOW"
    assert told["info"] == {"RUNID": "mine"}
    assert told["columns"][7] == {"name": "ra", "datatype": "double", "unit": "deg", "ucd": "pos.eq.ra;meta.main"}
    assert told["data"][0][:6] == [True, 255, -32768, ROWS[0][3], -1, str(BIG)]
    assert told["data"][2] == [None] * len(NAMES)
    assert told["data"][3][3] == " line\nbreak "
    assert told["data"][1][6:8] == [None, None]
    assert told["data"][0][9:] == [[1.5, -2.5], [0.0, 1.0, 2.0, 3.0, 4.0, 5.5]]


def test_json_without_rows_is_still_whole() -> None:
    assert json.loads(document(formats.JSON, HeldRows(EVERY_KIND, [])))["data"] == []


@pytest.mark.parametrize("overflow", [False, True])
def test_parquet_is_exact_and_describes_itself(*, overflow: bool) -> None:
    file = pq.ParquetFile(io.BytesIO(document(formats.PARQUET, every_kind(overflow=overflow))))
    table = file.read()

    assert_same(table)
    about = file.metadata.metadata
    assert about[b"QUERY_STATUS"] == (b"OVERFLOW" if overflow else b"OK")
    described = parse(io.BytesIO(about[b"IVOA.VOTable-Parquet.content"])).get_first_table()
    assert [field.name for field in described.fields] == NAMES


@pytest.mark.parametrize("overflow", [False, True])
def test_arrow_is_exact_and_ends_with_its_status(*, overflow: bool) -> None:
    reader = pa.ipc.open_stream(document(formats.ARROW, every_kind(overflow=overflow)))
    parts = []
    while True:
        try:
            parts.append(reader.read_next_batch_with_custom_metadata())
        except StopIteration:
            break

    assert_same(pa.Table.from_batches([part.batch for part in parts]))
    assert parts[-1].custom_metadata[b"QUERY_STATUS"] == (b"OVERFLOW" if overflow else b"OK")
    assert reader.schema.field("ra").metadata[b"unit"] == b"deg"


@pytest.mark.parametrize("form", [formats.CSV, formats.JSON, formats.FITS, formats.PARQUET, formats.ARROW])
def test_a_failure_breaks_a_document_that_has_no_words_for_it(form: Format) -> None:
    with pytest.raises(UnavailableError):
        document(form, every_kind(failure=UnavailableError("The worker ended.")))


def test_votable_is_the_default_and_follows_the_service() -> None:
    assert chosen() is formats.BINARY2
    assert chosen(formats.TABLEDATA, responseformat="votable") is formats.TABLEDATA
    assert chosen(formats.TABLEDATA, RESPONSEFORMAT="application/x-votable+xml") is formats.TABLEDATA
    assert chosen(formats.TABLEDATA, Format="votable/b2") is formats.BINARY2


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.names[0])
def test_every_format_goes_by_its_media_type_and_all_its_names(form: Format) -> None:
    assert chosen(RESPONSEFORMAT=form.media_type.replace(";", "; ").upper()) is form
    assert {chosen(FORMAT=name) for name in form.names} == {form}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("application/x-votable+xml;serialization=tabledata", formats.TABLEDATA),
        ("application/x-votable xml; serialization=TableData", formats.TABLEDATA),
        ('text/xml; serialization="BINARY"', formats.BINARY),
        ("application/x-votable+xml;version=1.4;serialization=binary2", formats.BINARY2),
        ("text/xml;charset=utf-8", formats.BINARY2),
        ("text/csv; charset=UTF-8", formats.CSV),
        ("text/csv;header=present;", formats.CSV),
    ],
)
def test_parameters_of_a_media_type_choose_or_change_nothing(name: str, form: Format) -> None:
    assert chosen(RESPONSEFORMAT=name) is form


@pytest.mark.parametrize("name", ["text/csv;header=absent", "application/x-votable+xml;serialization=fits", ";", "/"])
def test_parameters_that_ask_for_something_else_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not known; allowed are votable"):
        chosen(RESPONSEFORMAT=name)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"^RESPONSEFORMAT 'xls' is not known; allowed are votable, .*csv, tsv, fits, .*arrow\.$"
    ) as refusal:
        chosen(RESPONSEFORMAT="xls")
    assert refusal.value.parameter == "RESPONSEFORMAT"


def assert_same(table: pa.Table) -> None:
    for got, expected in zip(table.to_pylist(), ROWS, strict=True):
        for value, wanted in zip(got.values(), expected, strict=True):
            if isinstance(wanted, float):
                same = value == pytest.approx(wanted, nan_ok=True, rel=1e-6)
                assert same or (math.isinf(value) and value == wanted)
            else:
                assert value == wanted
