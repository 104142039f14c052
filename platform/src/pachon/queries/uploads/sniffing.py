"""What uploaded files are, by how they begin, and what the columns of a CSV file hold, by their values."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import LimitError
from pachon.core.fields import DataType
from pachon.releases.importing.csv_source import CsvSource
from pachon.releases.importing.fits_source import FitsSource
from pachon.releases.importing.models import Source, UnreadableFileError
from pachon.releases.importing.parquet_source import ParquetSource
from pachon.releases.importing.votable_source import open_votable

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEAD_BYTES = 1024
_PIECE_BYTES = 1024**2
_FIRST_BYTES: tuple[tuple[bytes, Callable[[Path], Source]], ...] = (
    (b"PAR1", ParquetSource),
    (b"SIMPLE  =", FitsSource),
    (b"<", open_votable),
)
_FOREIGN = (
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"\{\s*[\"}]|\[\s*[{\[\"]"), "JSON"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive, as spreadsheets are"),
)
"""What is often sent and not read; `[Fe/H]` begins a line of names."""
_MISSING = pa.array(["", "null", "nan", "na", "n/a", "none"])
_NANS = pa.array(["nan", "+nan", "-nan"])
_ORDER = (DataType.LONG, DataType.DOUBLE, DataType.BOOLEAN, DataType.TIMESTAMP)
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?$"
_BOOLEANS = pa.array(["true", "false", "t", "f"])
_PARSED = {DataType.LONG: pa.int64(), DataType.DOUBLE: pa.float64()}


def unpack(path: Path, *, max_bytes: int) -> Path:
    """The file itself, or if it is compressed by gzip what is in it, beside it.

    Raises
    ------
    UnreadableFileError
        If it is damaged.
    LimitError
        If there is more in it than allowed.
    """
    with path.open("rb") as packed:
        if packed.read(len(_GZIP)) != _GZIP:
            return path
        packed.seek(0)
        unpacked = path.with_suffix(".unpacked")
        with unpacked.open("wb") as file:
            size_bytes = 0
            for piece in _unpacked(packed):
                size_bytes += len(piece)
                if size_bytes > max_bytes:
                    raise LimitError(f"the file holds more than the {max_bytes:,} bytes allowed when it is unpacked.")
                file.write(piece)
    return unpacked


def _unpacked(packed: BinaryIO) -> Iterator[bytes]:
    """The contents of all members of a file, never much at once."""
    unzip = zlib.decompressobj(wbits=31)
    rest = packed.read(_PIECE_BYTES)
    try:
        while rest:
            yield unzip.decompress(rest, _PIECE_BYTES)
            rest = unzip.unconsumed_tail or unzip.unused_data or packed.read(_PIECE_BYTES)
            if unzip.eof and rest:
                unzip = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise UnreadableFileError(f"the file is damaged: it begins like gzip, and is none ({error}).") from None
    if not unzip.eof:
        raise UnreadableFileError("the file ends within what gzip has compressed.")


def open_file(path: Path) -> Source:
    """Open a file by how it begins: Parquet, FITS, VOTable, else CSV.

    Raises
    ------
    UnreadableFileError
        If it is empty or damaged.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not head:
        raise UnreadableFileError("the file is empty; allowed are VOTable, FITS, Parquet and CSV.")
    if found := next((kind for start, kind in _FOREIGN if start.match(head)), None):
        raise UnreadableFileError(f"the file is {found}; allowed are VOTable, FITS, Parquet and CSV.")
    opener = next((opener for start, opener in _FIRST_BYTES if head.startswith(start)), CsvSource)
    return opener(path)


def value_types(source: Source) -> tuple[DataType, ...]:
    """The narrowest type of each column of texts that holds all its values.

    A column without values is one of numbers if NaN stands in it, which no other has, else one of texts.
    """
    candidates = [list(_ORDER) for _ in source.columns]
    without_values = [DataType.CHAR for _ in source.columns]
    has_values = [False for _ in source.columns]
    for batch in source.batches():
        for number, column in enumerate(batch.columns):
            words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
            if pc.any(pc.is_in(words, value_set=_NANS)).as_py():
                without_values[number] = DataType.DOUBLE
            texts = column.filter(pc.invert(pc.or_(pc.is_null(words), pc.is_in(words, value_set=_MISSING))))
            if not len(texts):
                continue
            has_values[number] = True
            while candidates[number] and not _are(texts, candidates[number][0]):
                candidates[number].pop(0)
    found = zip(candidates, has_values, without_values, strict=True)
    return tuple((types[0] if types else DataType.CHAR) if seen else empty for types, seen, empty in found)


def _are(texts: pa.Array, datatype: DataType) -> bool:
    """Whether all texts are values of a type."""
    if datatype is DataType.BOOLEAN:
        return bool(pc.all(pc.is_in(pc.utf8_lower(texts), value_set=_BOOLEANS)).as_py())
    if datatype is DataType.TIMESTAMP:
        return bool(pc.all(pc.match_substring_regex(texts, pattern=_ISO)).as_py())
    with suppress(pa.ArrowInvalid):
        pc.utf8_trim_whitespace(texts).cast(_PARSED[datatype])
        return True
    return False
