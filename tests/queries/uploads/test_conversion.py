"""Uploaded files become Parquet, or are refused in one sentence that says where."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import from_table
from astropy.table import Table as Frame

from pachon.core.errors import LimitError, UsageError
from pachon.core.fields import DataType
from pachon.core.healpix import spatial_index
from pachon.queries.uploads.conversion import convert
from pachon.queries.uploads.models import UploadedTable, UploadLimits, uploads_of

LIMITS = UploadLimits(max_bytes=1_000_000, max_rows=50, max_columns=4, max_tables=2, reserve_bytes=0)


def converted(folder: Path, content: bytes, limits: UploadLimits = LIMITS) -> UploadedTable:
    raw = folder / "t.raw"
    raw.write_bytes(content)
    return convert("mine", raw, limits)


HEAD = '<VOTABLE version="1.4"><RESOURCE><TABLE>'


def votable(fields: str, rows: str, *, head: str = HEAD, tail: str | None = None) -> bytes:
    end = "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>" if tail is None else tail
    return f"{head}{fields}<DATA><TABLEDATA>{rows}{end}".encode()


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def fits() -> bytes:
    out = io.BytesIO()
    Frame({"n": np.array([1, 2], np.int32), "ra": [1.5, 2.5]}, units={"ra": "deg"}).write(out, format="fits")
    return out.getvalue()


ID = '<FIELD name="n" datatype="int"/>'
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "Upload 'mine': the file is empty; allowed are VOTable, FITS, Parquet and CSV."),
    "no table": (b"<html><p>Log in</p></html>", "Upload 'mine': the document ends before its first TABLE does, or has"),
    "truncated": (votable(ID, "<TR><TD>1</TD></TR><TR>", tail=""), "the document ends before its first TABLE does"),
    "bad cell": (
        votable(ID, "<TR><TD>1</TD></TR><TR><TD>one</TD></TR>"),
        "Upload 'mine', row 2: column 'n': 'one' is not a value of type int.",
    ),
    "too large a number": (votable(ID, "<TR><TD>3000000000</TD></TR>"), "row 1: column 'n': '3000000000' is not"),
    "short row": (
        votable(ID + '<FIELD name="m" datatype="int"/>', "<TR><TD>1</TD></TR>"),
        "Upload 'mine', row 1: the row has 1 cells (TD), and there are 2 fields.",
    ),
    "wrong arraysize": (votable('<FIELD name="n" datatype="int" arraysize="x3"/>', ""), "has arraysize 'x3', which is"),
    "wrong length": (
        votable('<FIELD name="n" datatype="int" arraysize="2"/>', "<TR><TD>1 2 3</TD></TR>"),
        "row 1: column 'n': '1 2 3' is not a value of type int.",
    ),
    "unknown datatype": (votable('<FIELD name="n" datatype="quaternion"/>', ""), "field n has datatype 'quaternion'"),
    "twice a name": (votable(ID + '<FIELD name="N" datatype="int"/>', ""), "columns 'n' and 'N' have the same name"),
    "no name": (votable('<FIELD datatype="int"/>', ""), "Upload 'mine': column 1 has no name."),
    "many columns": (
        votable("".join(f'<FIELD name="c{i}" datatype="int"/>' for i in range(5_000)), ""),
        "Upload 'mine': the table has 5,000 columns; at most 4 are allowed.",
    ),
    "many rows": (b"n\n" + b"1\n" * 51, "Upload 'mine': the table has more than the 50 rows allowed."),
    "latin-1": ("n,s\n1,Köln\n".encode("latin-1"), "Upload 'mine': the file is damaged, or no CSV in UTF-8"),
    "names in latin-1": ("größe\n1\n".encode("latin-1"), "Upload 'mine': the file is damaged, or no CSV in UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "Upload 'mine': the file is damaged, or no CSV in UTF-8"),
    "JSON": (b'{"n": [1]}', "Upload 'mine': the file is JSON; allowed are VOTable, FITS, Parquet and CSV."),
    "rows in JSON": (b'\n[ {"n": 1, "m": 2} ]\n', "Upload 'mine': the file is JSON; allowed are"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", "Upload 'mine': the file is a PDF document; allowed are VOTable, FITS,"),
    "one line": (b"n,m", "Upload 'mine': the file is no CSV: a line of names and a line for each row are expected."),
    "semicolons": (b"n;m\n1,5;2\n", "the names in the first line are separated by ';'; in CSV a comma is allowed."),
    "tabs": (b"n\tm\n1\t2\n", "the names in the first line are separated by tabs; in CSV a comma is allowed."),
    "an entity": (
        votable(ID, "<TR><TD>&e;</TD></TR>", head=f'<!DOCTYPE VOTABLE [<!ENTITY e "1">]>{HEAD}'),
        "Upload 'mine': the XML entity 'e' is not read: write what it stands for; &lt; &gt; &amp;",
    ),
    "an entity of a DTD": (
        votable(ID, "<TR><TD>&e;</TD></TR>", head=f'<!DOCTYPE VOTABLE SYSTEM "v.dtd">{HEAD}'),
        "Upload 'mine': the XML entity 'e' is not read",
    ),
    "uneven": (b"a,b\n1,2\n1,2,3\n", "the row has 3 values, and there are 2 columns."),
    "bomb": (
        gzip.compress(b"n\n" + b"0" * 20_000_000),
        "Upload 'mine': the file holds more than the 1,000,000 bytes allowed when it is unpacked.",
    ),
    "cut gzip": (gzip.compress(b"n\n1\n" * 10)[:-12], "Upload 'mine': the file ends within what gzip has compressed."),
    "cut Parquet": (parquet(pa.table({"n": [1]}))[:-9], "Upload 'mine': the file is damaged, or no Parquet file"),
    "cut FITS": (fits()[:5_000], "Upload 'mine'"),
    "nested": (
        parquet(pa.table({"n": [{"a": 1}]})),
        "Upload 'mine': column 'n' has the type struct<a: int64>; allowed are numbers, truth values, texts, moments",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, what: str) -> None:
    content, message = REFUSED[what]
    with pytest.raises(UsageError) as refused:
        converted(tmp_path, content)
    assert message in refused.value.message
    assert refused.value.parameter == "UPLOAD"


def _lists(table: pa.Table, form: str) -> bytes:
    out = io.BytesIO()
    from_table(Frame.from_pandas(table.to_pandas())).to_xml(out, tabledata_format=form)
    return out.getvalue()


FORMS: dict[str, Callable[[pa.Table], bytes]] = {
    **{form: lambda table, form=form: _lists(table, form) for form in ("tabledata", "binary", "binary2")},
    "csv": lambda table: table.to_pandas().to_csv(index=False).encode(),
    "gzip": lambda table: gzip.compress(_lists(table, "tabledata")),
    "parquet": parquet,
}


@pytest.mark.parametrize("form", FORMS)
def test_values_and_types_are_those_that_were_sent(tmp_path: Path, form: str) -> None:
    sent = pa.table(
        {"n": [1, 2, 2**60], "x": [1.5, None, -0.25], "flag": [True, False, True], "s": ["a<b", "c&d", "ç"]}
    )
    found = converted(tmp_path, FORMS[form](sent))

    kinds = [field.datatype for field in found.fields]
    assert kinds == [DataType.LONG, DataType.DOUBLE, DataType.BOOLEAN, DataType.CHAR]
    assert pq.read_table(found.path).to_pylist() == sent.to_pylist()
    assert found.row_count == 3


def test_names_in_brackets_are_no_json(tmp_path: Path) -> None:
    found = converted(tmp_path, b"[Fe/H],[3.6]\n-0.5,12\n")
    assert [field.name for field in found.fields] == ["[Fe/H]", "[3.6]"]


def test_columns_of_a_csv_file_without_values_are_numbers_if_nan_stands_in_them(tmp_path: Path) -> None:
    found = converted(tmp_path, b"a,b,c,d\nNaN,,12345678901234567, 1.5\n,null,nan, \n-nan,,3,2\n")

    assert [field.datatype for field in found.fields] == [
        DataType.DOUBLE, DataType.CHAR, DataType.LONG, DataType.DOUBLE
    ]  # fmt: skip
    columns = pq.read_table(found.path).to_pydict()
    assert (columns["a"], columns["d"]) == ([None, None, None], [1.5, None, 2.0])
    assert columns["c"] == [12345678901234567, None, 3]


@pytest.mark.parametrize("form", ["csv", "parquet", "tabledata"])
def test_texts_are_declared_by_all_of_their_letters(tmp_path: Path, form: str) -> None:
    sent = pa.table({"plain": ["a"] * 40, "late": ["b"] * 39 + ["ñ"]})
    assert [field.is_unicode for field in converted(tmp_path, FORMS[form](sent)).fields] == [False, True]


def test_a_fits_table_is_read(tmp_path: Path) -> None:
    found = converted(tmp_path, fits())
    assert pq.read_table(found.path, columns=["n", "ra"]).to_pylist() == [{"n": 1, "ra": 1.5}, {"n": 2, "ra": 2.5}]
    assert [field.unit for field in found.fields] == [None, "deg"]


def test_the_description_of_a_column_is_kept_also_in_parquet(tmp_path: Path) -> None:
    field = '<FIELD name="t" datatype="char" arraysize="*" xtype="timestamp" ucd="time.epoch" utype="a:b" unit="d">'
    document = votable(
        f"{field}<DESCRIPTION>When\n it was.</DESCRIPTION></FIELD>", "<TR><TD>2026-11-25T01:02:03</TD></TR>"
    )
    direct = converted(tmp_path, document).fields
    labelled = pa.schema([("t", pa.timestamp("us"))], metadata={"IVOA.VOTable-Parquet.content": document})
    by_parquet = converted(tmp_path, parquet(pa.table({"t": [None]}, schema=labelled))).fields

    assert direct == by_parquet
    (told,) = direct
    assert (told.datatype, told.xtype, told.ucd, told.utype, told.unit, told.description) == (
        DataType.TIMESTAMP, "timestamp", "time.epoch", "a:b", "d", "When it was."
    )  # fmt: skip


def test_positions_are_indexed_and_rows_without_one_are_marked(tmp_path: Path) -> None:
    found = converted(tmp_path, b"name,RA,Dec\na,10,-5\nb,,7\nc,-0.5,89\nd,1,95\n")
    assert (found.ra_column, found.dec_column) == ("RA", "Dec")
    index = pq.read_table(found.path)["_healpix_29"].to_pylist()
    known = spatial_index(np.array([10.0, 359.5]), np.array([-5.0, 89.0])).tolist()
    assert index == [known[0], None, known[1], None]


@pytest.mark.parametrize(
    "rows",
    [
        "<TR>\n <TD>1</TD>\n <TD> a </TD>\n</TR>\n<TR><TD/><TD>b &lt; c &#233;</TD></TR>",
        "<TR><TD>1</TD><TD> a </TD></TR><!-- <TR> --><TR><TD></TD><TD><![CDATA[b < c é]]></TD></TR>",
        "<TR><TD>1</TD><TD> a </TD></TR><TR><TD/><TD>b &lt; c é</TD></TR>",
    ],
)
def test_xml_is_read_alike_however_it_is_written(tmp_path: Path, rows: str) -> None:
    fields = f'{ID}<FIELD name="s" datatype="char" arraysize="*"/>'
    found = converted(tmp_path, votable(fields, rows))
    assert pq.read_table(found.path).to_pylist() == [{"n": 1, "s": " a "}, {"n": None, "s": "b < c é"}]


@pytest.mark.parametrize("content", [votable(ID, ""), b"n,m\n", parquet(pa.table({"n": pa.array([], pa.int32())}))])
def test_a_table_without_rows_is_a_table(tmp_path: Path, content: bytes) -> None:
    found = converted(tmp_path, content)
    assert (found.row_count, found.fields[0].name, pq.read_table(found.path).num_rows) == (0, "n", 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["mine"], "UPLOAD must be name,URI such as mine,param:file, not 'mine'."),
        (
            ["1a,param:x"],
            "UPLOAD: '1a' cannot name a table; allowed are a letter, then letters, digits and underscores",
        ),
        (["TAP_UPLOAD.a,param:x"], "cannot name a table"),
        (["select,param:x"], "UPLOAD: 'select' is a word of ADQL and cannot name a table"),
        (["a,param:x", "A,param:y"], "UPLOAD names the table 'A' twice"),
        (
            ["a,file:///etc/passwd"],
            "'file:///etc/passwd' cannot be read; allowed are param: (a part of the request), http",
        ),
        (["a,vos://x/y"], "Upload 'a': 'vos://x/y' cannot be read"),
        (["a,param:x", "b,param:x", "c,param:x"], "UPLOAD brings 3 tables; at most 2 are allowed for one query."),
    ],
)
def test_wrong_names_and_addresses_are_refused(values: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        uploads_of(values, LIMITS)
    assert message in refused.value.message


def test_uploads_accumulate_and_old_clients_join_them() -> None:
    found = uploads_of(["a,param:x;b,http://h.org/?q=1;2"], UploadLimits(hosts=frozenset({"h.org"})))
    assert [(upload.name, upload.uri, upload.part) for upload in found] == [
        ("a", "param:x", "x"),
        ("b", "http://h.org/?q=1;2", None),
    ]


def test_output_is_bounded_too(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="holds more than the 100 bytes allowed"):
        converted(tmp_path, gzip.compress(b"n\n" + b"1\n" * 200), UploadLimits(max_bytes=100, reserve_bytes=0))
