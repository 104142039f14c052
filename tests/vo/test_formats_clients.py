"""Documents of every format, read by the programs that astronomers use."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits, votable
from astropy.table import Table

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.vo import formats
from pachon.vo.formats import Format
from pachon.vo.models import Heading, Info
from support.rows import BIG, EVERY_KIND, ROWS, HeldRows, every_kind
from support.stilts import needs_stilts

VOTABLES = (formats.BINARY2, formats.TABLEDATA, formats.BINARY)
NAME = "name"
TEXT = (
    Field(name="id", datatype=DataType.LONG, ucd="meta.id;meta.main"),
    Field(name=NAME, datatype=DataType.CHAR, arraysize="*"),
)
WORDS = ["", None, "Cerro Pachón", "Δ Ori", "星", "🔭 🔭", "plain"]


def named(*batches: list[str | None]) -> HeldRows:
    schema = arrow_schema(TEXT)
    held = [
        pa.record_batch([pa.array(range(len(words))), pa.array(words, pa.string())], schema=schema) for words in batches
    ]
    return HeldRows(TEXT, held)


def document(form: Format, rows: HeldRows, heading: Heading | None = None) -> bytes:
    return b"".join(form.write(rows, heading or Heading()))


def by_astropy(content: bytes) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return votable.parse(io.BytesIO(content)).get_first_table().to_table()


def by_stilts(content: bytes, folder: Path, *, form: str) -> list[dict[str, str]]:
    file = folder / "answer"
    file.write_bytes(content)
    command = ["stilts", "tpipe", f"in={file}", f"ifmt={form}", "ofmt=csv"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))


@pytest.mark.parametrize("form", VOTABLES, ids=lambda form: form.names[0])
def test_letters_of_every_script_reach_astropy(form: Format) -> None:
    table = by_astropy(document(form, named(WORDS)))

    assert list(table[NAME].filled("")) == [word or "" for word in WORDS]


@needs_stilts
@pytest.mark.parametrize("form", VOTABLES, ids=lambda form: form.names[0])
def test_letters_of_every_script_reach_stilts(form: Format, tmp_path: Path) -> None:
    content = document(form, named(WORDS))

    assert [row[NAME] for row in by_stilts(content, tmp_path, form="votable")] == [word or "" for word in WORDS]
    lint = ["stilts", "votlint", str(tmp_path / "answer")]
    assert subprocess.run(lint, capture_output=True, text=True, check=True, timeout=60).stdout == ""


def test_plain_texts_stay_chars_and_late_letters_are_told() -> None:
    content = document(formats.BINARY2, named(["a", "b"], ["ñ"]))

    parsed = votable.parse(io.BytesIO(content))
    assert parsed.get_first_table().get_field_by_id_or_name(NAME).datatype == "char"
    assert list(parsed.get_first_table().array[NAME]) == ["a", "b", "n"]
    (told,) = [info for info in parsed.resources[0].infos if info.name == "warning"]
    assert told.value == NAME
    assert "TABLEDATA" in told.content
    for form in (formats.TABLEDATA, formats.CSV, formats.JSON, formats.BINARY):
        assert b"warning" not in document(form, named(["a", "b"], ["ñ"]))
    assert "ñ".encode() in document(formats.TABLEDATA, named(["a", "b"], ["ñ"]))


def test_letters_that_fits_does_not_have_are_told_in_its_header() -> None:
    for words, told in ((["a", "ñ"], 1), (["a", "b"], 0)):
        header = fits.open(io.BytesIO(document(formats.FITS, named(words))))[1].header
        assert str(header.get("HISTORY", "")).replace("\n", "").count(f"replaced in {NAME};") == told


def test_late_letters_of_free_text_are_kept() -> None:
    free = (TEXT[0], replace(TEXT[1], is_unicode=True))
    for batches in ([["a", "b"], ["ñ"]], []):
        rows = replace(named(*batches), fields=free)
        table = votable.parse(io.BytesIO(document(formats.BINARY2, rows))).get_first_table()

        assert table.get_field_by_id_or_name(NAME).datatype == "unicodeChar"
        assert list(table.array[NAME]) == [word for words in batches for word in words]


@pytest.mark.parametrize("form", [formats.BINARY, formats.FITS], ids=lambda form: form.names[0])
def test_no_value_reads_as_null_where_null_is_a_value(form: Format, tmp_path: Path) -> None:
    ends = {
        DataType.UNSIGNED_BYTE: (0, 2**8 - 1),
        DataType.SHORT: (-(2**15), 2**15 - 1),
        DataType.INT: (-(2**31), 2**31 - 1),
    }
    columns = {
        Field(name=f"{kind}_{number}", datatype=kind): values
        for kind, (low, high) in ends.items()
        for number, values in enumerate([[low, high, None], [low, 1, None], [1, high, None], [low, high, 1]])
    }
    columns[Field(name="at_the_low_end", datatype=DataType.LONG)] = [-(2**63), 1, None]
    columns[Field(name="at_the_high_end", datatype=DataType.LONG)] = [2**63 - 1, 1, None]
    arrays = [pa.array(values, field.arrow_type) for field, values in columns.items()]
    batch = pa.record_batch(arrays, schema=arrow_schema(tuple(columns)))
    file = tmp_path / f"answer.{form.extension}"
    file.write_bytes(document(form, HeldRows(tuple(columns), [batch])))

    assert [column.tolist() for column in Table.read(file).itercols()] == list(columns.values())


def test_a_column_that_leaves_nothing_for_null_is_refused() -> None:
    fields = (Field(name="id", datatype=DataType.LONG),)
    batch = pa.record_batch([pa.array([2**63 - 1, -(2**63), None])], schema=arrow_schema(fields))

    with pytest.raises(UsageError, match="The column id leaves no value for null in this format; choose votable"):
        document(formats.FITS, HeldRows(fields, [batch]))
    assert by_astropy(document(formats.BINARY2, HeldRows(fields, [batch])))["id"].tolist()[:2] == [2**63 - 1, -(2**63)]


def test_fits_is_exact_by_astropy(tmp_path: Path) -> None:
    file = tmp_path / "answer.fits"
    heading = Heading(infos=(Info("QUERY", "SELECT'x'" * 20),))
    file.write_bytes(document(formats.FITS, every_kind(overflow=True), heading))

    with fits.open(file) as units:
        units.verify("exception")
        head = units[1].header
        assert (head["QSTATUS"], head["TUCD6"], head["TCOMM4"]) == ("OVERFLOW", "meta.id;meta.main", "A <name> & more")
        asked, warning, _ = "".join(head["HISTORY"]).partition("warning: letters outside ASCII")
        assert (asked, bool(warning)) == ("QUERY: " + "SELECT'x'" * 20, True)
    with pytest.warns(UserWarning, match="contains NULL"):
        table = Table.read(file)
    assert table["id"].tolist() == [BIG, -BIG, None, 1]
    assert table["tiny"].tolist() == [255, 0, None, 1]
    assert table["small"].tolist() == [-32768, 7, None, 1]
    assert list(table["flag"]) == [True, False, False, True]
    assert table[NAME].filled("").tolist() == ['Ve"ga, <&> e\t\\', "", "", " line\nbreak"]
    assert table["at"][0] == "2026-01-02T03:04:05.000600"
    assert (table["mag"][1], table["ra"][1]) == (math.inf, -math.inf)
    assert np.all(np.isnan(np.asarray(table["ra"].filled(math.nan)[2:])))
    assert [list(value) for value in table["outline"]] == [row[10] or [] for row in ROWS]
    assert [list(value) for value in table["place"][[0, 1, 3]]] == [ROWS[n][9] for n in (0, 1, 3)]
    assert (table["ra"].unit, table["mag"].unit) == ("deg", "mag")


@needs_stilts
def test_fits_is_read_by_stilts_with_undefined_flags(tmp_path: Path) -> None:
    rows = by_stilts(document(formats.FITS, every_kind()), tmp_path, form="fits")

    assert [row["flag"] for row in rows] == ["true", "false", "", "true"]
    assert [row["id"] for row in rows] == [str(BIG), str(-BIG), "", "1"]
    assert [row["small"] for row in rows] == ["-32768", "7", "", "1"]
    assert rows[0]["outline"] == "(0.0, 1.0, 2.0, 3.0, 4.0, 5.5)"


def test_long_texts_and_long_comments_fit_into_fits(tmp_path: Path) -> None:
    comment = "It's " * 60
    fields = (Field(name="note", datatype=DataType.CHAR, arraysize="*", description=comment),)
    texts = ["é" * 5000, None, "short"]
    batch = pa.record_batch([pa.array(texts)], schema=arrow_schema(fields))
    file = tmp_path / "answer.fits"
    file.write_bytes(document(formats.FITS, HeldRows(fields, [batch, batch])))

    with fits.open(file) as units:
        assert ["".join(value) for value in units[1].data["note"]] == ["e" * 5000, "", "short"] * 2
        assert units[1].header["TCOMM1"] == comment.rstrip()


def test_fits_without_rows_describes_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "answer.fits"
    file.write_bytes(document(formats.FITS, HeldRows(EVERY_KIND, [])))

    table = Table.read(file)
    assert (len(table), table.colnames) == (0, [field.name for field in EVERY_KIND])


def test_fits_refuses_more_columns_than_it_can_hold() -> None:
    fields = tuple(Field(name=f"c{n}", datatype=DataType.INT) for n in range(1000))

    with pytest.raises(UsageError, match="FITS holds at most 999 columns, not 1000"):
        document(formats.FITS, HeldRows(fields, []))


def test_parquet_is_a_described_table_for_astropy_and_rows_for_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "answer.parquet"
    numbers = EVERY_KIND[5:8]  # astropy's reader of described Parquet fails on texts
    held = [batch.select(range(5, 8)).slice(0, 1) for batch in every_kind().held]
    file.write_bytes(document(formats.PARQUET, HeldRows(numbers, held)))
    table = Table.read(file, format="parquet.votable")
    assert (table["id"].tolist(), table["id"].meta["ucd"]) == ([BIG, -BIG], "meta.id;meta.main")
    assert (str(table["ra"].unit), str(table["mag"].unit)) == ("deg", "mag")

    file.write_bytes(document(formats.PARQUET, every_kind()))
    found = duckdb.connect().execute('SELECT id, name, outline, "at" FROM read_parquet($1)', [str(file)]).fetchall()
    assert found == [(row[5], row[3], row[10], row[8]) for row in ROWS]


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.names[0])
def test_columns_of_nulls_alone_are_written_by_every_format(form: Format, tmp_path: Path) -> None:
    schema = arrow_schema(EVERY_KIND)
    nothing = pa.record_batch([pa.nulls(3, kind) for kind in schema.types], schema=schema)
    content = document(form, HeldRows(EVERY_KIND, [nothing]))

    if form in VOTABLES:
        assert len(by_astropy(content)) == 3
    elif form is formats.FITS:
        (tmp_path / "answer.fits").write_bytes(content)
        with fits.open(tmp_path / "answer.fits") as units:
            assert len(units[1].data) == 3
    else:
        assert document(form, HeldRows(EVERY_KIND, [nothing])) == content
        assert len(content) > len(document(form, HeldRows(EVERY_KIND, [])))


def test_wide_rows_are_written_in_parts_of_bounded_size() -> None:
    fields = tuple(Field(name=f"c{n}", datatype=DataType.DOUBLE) for n in range(900))
    schema = arrow_schema(fields)
    batch = pa.record_batch([pa.array(np.zeros(8_000))] * 900, schema=schema)

    for form in (formats.BINARY2, formats.FITS, formats.BINARY):
        assert max(len(chunk) for chunk in form.write(HeldRows(fields, [batch]), Heading())) < 16 * 1024**2
