"""Cells as text, vectorised by Arrow: what TABLEDATA, CSV, TSV and JSON have in common."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.fields import DataType, Field
from pachon.vo.columns import is_ascii

_ROWS_AT_ONCE = 32_768
_BYTES_AT_ONCE = 8 * 1024**2
_NOT_XML = "[\x00-\x08\x0b\x0c\x0e-\x1f]"
_CONTROL = "[\x00-\x1f]"

Cells = Callable[[pa.Array, Field], pa.Array]
"""Turns a column into text cells ready to stand in a row; null where the cell is empty."""


def parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that are never large and never empty, so that memory stays bounded."""
    for batch in batches:
        fitting = batch.num_rows * _BYTES_AT_ONCE // max(batch.nbytes, 1)
        step = min(max(fitting, 1), _ROWS_AT_ONCE)
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def rows(batch: pa.RecordBatch, fields: tuple[Field, ...], *, cells: Cells, frame: tuple[str, str, str]) -> bytes:
    """Rows as text in UTF-8.

    Parameters
    ----------
    cells
        How a column becomes cells.
    frame
        What opens a row, stands between cells, and closes a row.
    """
    opening, between, closing = (pa.scalar(text, pa.large_string()) for text in frame)
    columns = [cells(column, field) for column, field in zip(batch.columns, fields, strict=True)]
    joined = pc.binary_join_element_wise(*columns, between, null_handling="replace", null_replacement="")
    empty = pa.scalar("", pa.large_string())
    return content(pc.binary_join_element_wise(opening, joined, closing, empty))


def content(values: pa.Array) -> bytes:
    """All values of a large text or binary column, one after the other."""
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)
    start, stop = int(offsets[values.offset]), int(offsets[values.offset + len(values)])
    return values.buffers()[2].slice(start, stop - start).to_pybytes() if stop > start else b""


def plain_text(column: pa.Array, field: Field) -> pa.Array:
    """Values as text, in the forms of VOTable 1.4 and DALI 1.1 section 3: `T`/`F`, `NaN`, ISO timestamps."""
    if pa.types.is_list(column.type):
        elements = plain_text(column.flatten(), _element(field))
        return _joined(column, elements.fill_null("NaN"), " ")
    if field.datatype is DataType.BOOLEAN:
        return pc.if_else(column, pa.scalar("T", pa.large_string()), pa.scalar("F", pa.large_string()))
    text = column.cast(pa.large_string())
    if field.datatype is DataType.TIMESTAMP:
        return pc.replace_substring(text, " ", "T", max_replacements=1)
    return _spell_non_finite(column, text) if pa.types.is_floating(column.type) else text


def ascii_text(column: pa.Array, field: Field) -> pa.Array:
    """As `plain_text`, in ASCII: letters lose their accents, what is left becomes `?`.

    FITS and the `char` of VOTable 1.4 are 7-bit ASCII; readers of binary streams fail on anything else.
    """
    text = plain_text(column, field)
    if field.datatype is not DataType.CHAR or is_ascii(text):
        return text
    return pa.array([value and to_ascii(value) for value in text.to_pylist()], pa.large_string())


def to_ascii(text: str) -> str:
    """The text in ASCII: letters without accents, and `?` for what has no such form."""
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letters).encode("ascii", "replace").decode("ascii")


def xml(column: pa.Array, field: Field) -> pa.Array:
    """Cells of TABLEDATA: escaped, without the control characters that XML 1.0 forbids.

    A null is an empty cell, but for arrays of a fixed length, where some readers insist on their elements.
    """
    text = plain_text(column, field)
    if field.arraysize and field.arraysize.isdecimal() and field.datatype in {DataType.FLOAT, DataType.DOUBLE}:
        return text.fill_null(" ".join(["NaN"] * int(field.arraysize)))
    if field.datatype is not DataType.CHAR:
        return text
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = pc.replace_substring(text, character, entity)
    return pc.replace_substring_regex(text, _NOT_XML, "\ufffd")


def csv(column: pa.Array, field: Field) -> pa.Array:
    """Cells of CSV (RFC 4180): quoted where needed; a null is empty, an empty text is quoted."""
    text = plain_text(column, field)
    if field.datatype is not DataType.CHAR:
        return text
    quoted = _bracketed(pc.replace_substring(text, '"', '""'), '"', '"')
    return pc.if_else(pc.match_substring_regex(text, '[",\r\n]|^\\s*$|^\\s|\\s$'), quoted, text)


def tsv(column: pa.Array, field: Field) -> pa.Array:
    """Cells of TSV, which has no quoting: a tab or line break within a text becomes a space."""
    text = plain_text(column, field)
    return pc.replace_substring_regex(text, "[\t\r\n]", " ") if field.datatype is DataType.CHAR else text


def json_value(column: pa.Array, field: Field) -> pa.Array:
    """Cells of JSON: 64-bit integers as strings (they exceed 2**53), non-finite numbers and nulls as `null`."""
    return _json_text(column, field).fill_null("null")


def _json_text(column: pa.Array, field: Field) -> pa.Array:
    if pa.types.is_list(column.type):
        return _bracketed(_joined(column, json_value(column.flatten(), _element(field)), ","), "[", "]")
    if field.datatype is DataType.BOOLEAN:
        return column.cast(pa.large_string())
    text = plain_text(column, field)
    if field.datatype in {DataType.CHAR, DataType.TIMESTAMP, DataType.LONG}:
        return _quoted_json(text)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_finite(column), text, pa.scalar(None, pa.large_string()))
    return text


def _quoted_json(text: pa.Array) -> pa.Array:
    """JSON strings; the rare columns with control characters take the slow road."""
    if pc.any(pc.match_substring_regex(text, _CONTROL)).as_py():
        spelled = [None if value is None else json.dumps(value, ensure_ascii=False) for value in text.to_pylist()]
        return pa.array(spelled, pa.large_string())
    escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    return _bracketed(escaped, '"', '"')


def _bracketed(text: pa.Array, opening: str, closing: str) -> pa.Array:
    marks = (pa.scalar(mark, pa.large_string()) for mark in (closing, ""))
    return pc.binary_join_element_wise(pa.scalar(opening, pa.large_string()), text, *marks)


def _element(field: Field) -> Field:
    return Field(name=field.name, datatype=field.datatype)


def _spell_non_finite(column: pa.Array, text: pa.Array) -> pa.Array:
    """`NaN`, `+Inf` and `-Inf` as VOTable spells them."""
    if pc.all(pc.is_finite(column)).as_py() is not False:
        return text
    for arrow_word, votable_word in (("inf", "+Inf"), ("-+Inf", "-Inf")):
        text = pc.replace_substring(text, arrow_word, votable_word)
    return pc.if_else(pc.is_nan(column), pa.scalar("NaN", pa.large_string()), text)


def _joined(column: pa.Array, elements: pa.Array, separator: str) -> pa.Array:
    """The texts of each list's elements with a separator between; null where the list is."""
    counts = pc.list_value_length(column).fill_null(0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    texts = pc.binary_join(pa.ListArray.from_arrays(offsets, elements.cast(pa.string())), separator)
    return pc.if_else(column.is_valid(), texts.cast(pa.large_string()), pa.scalar(None, pa.large_string()))
