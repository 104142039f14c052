"""Reads plainly written TABLEDATA some twenty times faster than an XML parser does.

Plain are rows of `<TR>` and `<TD>` without attributes, comments, CDATA or line breaks within cells, in UTF-8, which is
what clients write. They become lines of text that Arrow splits. At the first thing that is not plain the reading ends
after the last whole row, and whoever asked goes on from there with a real parser.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

_READ_BYTES = 4 * 1024**2
_HEAD_BYTES = 4 * 1024**2
_ROW_BYTES = 64 * 1024**2
_BLOCK_BYTES = 2**31 - 1
_START, _STOP, _ROW_END = b"<TABLEDATA>", b"</TABLEDATA>", b"</TR>"
_BETWEEN_TAGS, _BLANK_CELL = re.compile(rb">\s+<"), re.compile(rb"<TD>\s+</TD>")
_OTHER_ENCODING = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"'](?!utf-?8[\"'])", re.IGNORECASE)
_CELL, _ROW = b"\x1f", b"\n"
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))
_ENTITY = re.compile(rb"&(?!(?:lt|gt|quot|apos|amp);)")


class PlainRows:
    """The first rows of the first table of a document as texts, as far as they are plain; empty cells are null.

    Attributes
    ----------
    is_complete
        After the last batch: whether these were all rows.
    """

    def __init__(self, path: Path, columns: int) -> None:
        self._path = path
        self._columns = columns
        self.is_complete = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches with nameless columns."""
        with self._path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            start = head.find(_START)
            if start < 0 or self._columns == 0 or not _is_plain(head[:start]):
                return
            rest = head[start + len(_START) :]
            while (whole := self._whole_rows(rest)) is not None:
                if whole:
                    batch = _batch(rest[:whole].strip(), self._columns)
                    if batch is None:
                        return
                    yield batch
                rest = rest[whole:]
                if rest.lstrip().startswith(_STOP):
                    self.is_complete = True
                    return
                piece = file.read(_READ_BYTES)
                if not piece:
                    return
                rest += piece

    @staticmethod
    def _whole_rows(text: bytes) -> int | None:
        """Length of the rows that are whole; None if there is more than one cell could hold before the first ends."""
        stop = text.find(_STOP)
        whole = text.rfind(_ROW_END, 0, stop if stop >= 0 else len(text))
        if whole < 0:
            return 0 if len(text) <= _ROW_BYTES else None
        return whole + len(_ROW_END)


def _is_plain(head: bytes) -> bool:
    """Whether a document up to its rows leaves no doubt that these are of its first table."""
    is_doubtful = b"<!" in head or _OTHER_ENCODING.match(head) is not None
    return not is_doubtful and head.count(b"<TABLE") == 1


def _batch(rows: bytes, columns: int) -> pa.RecordBatch | None:
    """Whole rows as columns; None if they are not plain."""
    if _BLANK_CELL.search(rows):
        return None
    text = _BETWEEN_TAGS.sub(b"><", rows).replace(b"<TD/>", b"<TD></TD>")
    if _ROW in text or b"\r" in text or _CELL in text or _ENTITY.search(text):
        return None
    first, last = b"<TR><TD>", b"</TD></TR>"
    if not (text.startswith(first) and text.endswith(last)):
        return None
    lines = text[len(first) : -len(last)].replace(last + first, _ROW).replace(b"</TD><TD>", _CELL)
    if b"<" in lines or b">" in lines:
        return None
    try:
        texts = _split(lines, columns)
    except pa.ArrowException:
        return None
    return _unescaped(texts) if b"&" in lines else texts


def _split(lines: bytes, columns: int) -> pa.RecordBatch:
    names = [f"c{number}" for number in range(columns)]
    table = csv.read_csv(
        io.BytesIO(lines + _ROW),
        read_options=csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(delimiter=_CELL.decode(), quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    return table.combine_chunks().to_batches()[0]


def _unescaped(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = batch.columns
    for written, meant in _ENTITIES:
        columns = [pc.replace_substring(column, pattern=written, replacement=meant) for column in columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
