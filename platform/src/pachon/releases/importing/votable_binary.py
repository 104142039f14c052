"""Rows of the serialisations BINARY and BINARY2 (VOTable 1.4, sections 5.3 and 5.4) as Arrow arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pachon.core.fields import DataType, Field
from pachon.releases.importing.models import UnreadableFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS = {"unsignedByte": "u1", "short": ">i2", "int": ">i4", "long": ">i8", "float": ">f4", "double": ">f8"}
_WIDTHS = {"boolean": 1, "bit": 1, "char": 1, "unicodeChar": 2}
_TEXTS = {"char": "utf-8", "unicodeChar": "utf-16-be"}
_TRUE, _FALSE = np.frombuffer(b"Tt1", dtype=np.uint8), np.frombuffer(b"Ff0", dtype=np.uint8)
_COUNT_BYTES = 4
_ARRAYSIZE = re.compile(r"(\d+x)*(\d+|\d*\*)")
_ROW_BYTES = 64 * 1024**2
"""The longest row that is read."""


_DECLARED = {
    **{datatype.value: datatype for datatype in DataType},
    "bit": DataType.BOOLEAN,
    "unicodeChar": DataType.CHAR,
}


@dataclass(frozen=True, slots=True)
class VOTableField:
    """A FIELD of a table; `null` is the text of the value that stands for none, the others are as in VOTable."""

    name: str
    datatype: str
    arraysize: str | None = None
    unit: str | None = None
    null: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str]) -> VOTableField:
        """From the attributes of the element."""
        unit, ucd, utype, xtype = (attributes.get(key, "").strip() or None for key in ("unit", "ucd", "utype", "xtype"))
        name, arraysize = attributes.get("name", ""), attributes.get("arraysize")
        if arraysize is not None and not _ARRAYSIZE.fullmatch(arraysize):
            raise UnreadableFileError(f"field {name} has arraysize '{arraysize}', which is none.")
        datatype = attributes.get("datatype", "")
        return cls(name, datatype, arraysize, unit, ucd=ucd, utype=utype, xtype=xtype)

    @property
    def declared(self) -> Field:
        """The description of the column.

        Raises
        ------
        UnreadableFileError
            If the datatype is none that is read here.
        """
        self.element  # noqa: B018 -- checks the datatype
        datatype, arraysize = _DECLARED[self.datatype], self.arraysize
        if datatype is DataType.CHAR:
            datatype, arraysize = (DataType.TIMESTAMP, None) if self.xtype == "timestamp" else (datatype, "*")
        return Field(
            name=self.name,
            datatype=datatype,
            arraysize=None if arraysize == "1" else arraysize,
            unit=self.unit,
            ucd=self.ucd,
            utype=self.utype,
            xtype=self.xtype,
            description=self.description,
        )

    @property
    def is_text(self) -> bool:
        """Whether the elements are characters."""
        return self.datatype in _TEXTS

    @property
    def size(self) -> int | None:
        """How many elements a row has; None if this varies."""
        sizes = (self.arraysize or "1").split("x")
        return None if "*" in sizes[-1] else math.prod(int(size) for size in sizes)

    @property
    def element(self) -> np.dtype[Any]:
        """An element as stored.

        Raises
        ------
        UnreadableFileError
            If the datatype is none that is read here.
        """
        if self.datatype == "bit" and self.size != 1:
            raise UnreadableFileError(f"field {self.name} is an array of bits; allowed are single ones.")
        if self.datatype in _NUMBERS:
            return np.dtype(_NUMBERS[self.datatype])
        if self.datatype in _WIDTHS:
            return np.dtype(f"V{_WIDTHS[self.datatype]}") if self.is_text else np.dtype("u1")
        allowed = ", ".join([*_WIDTHS, *_NUMBERS])
        raise UnreadableFileError(f"field {self.name} has datatype '{self.datatype}'; allowed are {allowed}.")

    def values(self, stored: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
        """Scalars from elements as stored, shape (n,)."""
        if self.datatype == "bit":
            return pa.array(stored != 0, mask=missing)
        if self.datatype == "boolean":
            known = np.isin(stored, _TRUE) | np.isin(stored, _FALSE)
            return pa.array(np.isin(stored, _TRUE), mask=~known if missing is None else ~known | missing)
        native = stored.astype(stored.dtype.newbyteorder("="))
        if self.null is not None and native.dtype.kind in "iu":
            is_null = native == self._null_number()
            missing = is_null if missing is None else missing | is_null
        return pa.array(native, mask=missing)

    def _null_number(self) -> int:
        try:
            return int(self.null or "", base=0)
        except ValueError:
            message = f"field {self.name} says that '{self.null}' is no value, and must name a whole number."
            raise UnreadableFileError(message) from None

    def text(self, stored: bytes) -> str:
        """A text from its bytes."""
        try:
            return stored.decode(_TEXTS[self.datatype]).rstrip("\0")
        except UnicodeDecodeError:
            shown = stored[:20]
            raise UnreadableFileError(f"field {self.name} holds {shown!r}, which is no {self.datatype}.") from None


class BinaryReader:
    """Decodes the rows of a stream.

    Parameters
    ----------
    has_flags
        Whether each row begins with a bit a field that tells whether it has no value (BINARY2).
    """

    def __init__(self, fields: tuple[VOTableField, ...], *, has_flags: bool) -> None:
        self._fields = fields
        self._flag_bytes = -(-len(fields) // 8) if has_flags else 0
        self._stretches = list(_stretches(fields, self._flag_bytes))
        self.schema = self._batch([[] for _ in self._stretches]).schema

    def read(self, chunks: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
        """The rows of a stream that comes in chunks.

        Raises
        ------
        UnreadableFileError
            If it ends within a row.
        """
        rest, done = b"", 0
        for chunk in chunks:
            data = rest + chunk
            pieces, rows, used = self._split(data)
            rest = data[used:]
            if rows:
                yield self._batch(pieces)
            done += rows
            if len(rest) > _ROW_BYTES:
                raise UnreadableFileError(f"the row is longer than the {_ROW_BYTES:,} bytes allowed.", row=done + 1)
        if rest:
            raise UnreadableFileError("the STREAM of the table ends within a row.", row=done + 1)

    def _split(self, data: bytes) -> tuple[list[list[bytes]], int, int]:
        """The bytes of each stretch in each whole row, the number of rows, and of bytes in them."""
        if len(self._stretches) == 1 and isinstance(only := self._stretches[0], np.dtype):
            rows = len(data) // only.itemsize
            return [[data[: rows * only.itemsize]]], rows, rows * only.itemsize
        pieces: list[list[bytes]] = [[] for _ in self._stretches]
        rows = position = 0
        while (row := self._row(data, position)) is not None:
            found, position = row
            rows += 1
            for piece, held in zip(found, pieces, strict=True):
                held.append(piece)
        return pieces, rows, position

    def _row(self, data: bytes, position: int) -> tuple[list[bytes], int] | None:
        """The stretches of the row that begins at a position, and where it ends; None if it is not whole."""
        found = []
        for stretch in self._stretches:
            if isinstance(stretch, np.dtype):
                length = stretch.itemsize
            else:
                count = data[position : position + _COUNT_BYTES]
                position += _COUNT_BYTES
                length = int.from_bytes(count, "big") * stretch.element.itemsize
                if len(count) < _COUNT_BYTES:
                    return None
            found.append(data[position : position + length])
            position += length
        return (found, position) if found and position <= len(data) else None

    def _batch(self, pieces: list[list[bytes]]) -> pa.RecordBatch:
        flags: NDArray[np.bool_] | None = None
        columns: list[pa.Array] = []
        for stretch, held in zip(self._stretches, pieces, strict=True):
            if not isinstance(stretch, np.dtype):
                columns.append(_varying(stretch, held, _missing(flags, len(columns))))
                continue
            block = np.frombuffer(b"".join(held), dtype=stretch)
            if "flags" in (stretch.names or ()):
                flags = np.unpackbits(block["flags"], axis=1).astype(np.bool_)
            while f"f{len(columns)}" in (stretch.names or ()):
                number = len(columns)
                columns.append(_fixed(self._fields[number], block[f"f{number}"], _missing(flags, number)))
        return pa.RecordBatch.from_arrays(columns, names=[field.name for field in self._fields])


def _stretches(fields: tuple[VOTableField, ...], flag_bytes: int) -> Iterator[np.dtype[Any] | VOTableField]:
    """A row in parts: fields of fixed width that follow each other as one, and each field whose width varies."""
    fixed: list[tuple[str, Any]] = [("flags", (np.uint8, (flag_bytes,)))] if flag_bytes else []
    for number, field in enumerate(fields):
        if field.size is not None:
            fixed.append((f"f{number}", _stored(field, field.size)))
            continue
        if fixed:
            yield np.dtype(fixed)
        yield field
        fixed = []
    if fixed:
        yield np.dtype(fixed)


def _stored(field: VOTableField, size: int) -> Any:  # noqa: ANN401 -- what numpy takes for a type
    if field.is_text:
        return f"V{size * field.element.itemsize}"
    return field.element if size == 1 else (field.element, (size,))


def _missing(flags: NDArray[np.bool_] | None, number: int) -> NDArray[np.bool_] | None:
    return None if flags is None else flags[:, number]


def _fixed(field: VOTableField, stored: NDArray[Any], missing: NDArray[np.bool_] | None) -> pa.Array:
    if field.is_text:
        return _texts(field, [value.tobytes() for value in stored], missing)
    if stored.ndim == 1:
        return field.values(stored, missing)
    mask = None if missing is None else pa.array(missing)
    return pa.FixedSizeListArray.from_arrays(field.values(stored.ravel()), stored.shape[1], mask=mask)


def _texts(field: VOTableField, stored: list[bytes], missing: NDArray[np.bool_] | None) -> pa.Array:
    """Texts; an empty one is no value where there are no flags to say so."""
    texts = [field.text(value) for value in stored]
    is_null = [not text for text in texts] if missing is None else missing
    return pa.array(texts, pa.string(), mask=np.array(is_null, dtype=np.bool_))


def _varying(field: VOTableField, stored: list[bytes], missing: NDArray[np.bool_] | None) -> pa.Array:
    if field.is_text:
        return _texts(field, stored, missing)
    elements = np.frombuffer(b"".join(stored), dtype=field.element)
    offsets = np.cumsum([0, *(len(value) // field.element.itemsize for value in stored)])
    mask = None if missing is None else pa.array(missing)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), field.values(elements), mask=mask)
