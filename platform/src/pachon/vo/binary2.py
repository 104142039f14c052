"""Rows as VOTable BINARY2 (VOTable 1.4, section 5.4), a batch at a time.

Consecutive columns of fixed width become one packed big-endian numpy array; where texts or lists of varying length
stand between them, Arrow joins the pieces row by row. No Python loop runs over rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.fields import DataType, Field
from pachon.vo import cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BIG_ENDIAN = {
    DataType.UNSIGNED_BYTE: "u1",
    DataType.SHORT: ">i2",
    DataType.INT: ">i4",
    DataType.LONG: ">i8",
    DataType.FLOAT: ">f4",
    DataType.DOUBLE: ">f8",
}
_TRUE, _FALSE, _UNKNOWN = b"TF?"


def encode(batch: pa.RecordBatch, fields: tuple[Field, ...]) -> bytes:
    """The BINARY2 stream of a batch, before base64."""
    layout = _Layout(batch.num_rows)
    layout.fixed.append(_null_flags(batch))
    for column, described in zip(batch.columns, fields, strict=True):
        _add(layout, column, described)
    return layout.stream()


@dataclass(slots=True)
class _Layout:
    """The pieces of a row: blocks of fixed width, and binary columns between them."""

    row_count: int
    fixed: list[NDArray[Any]] = field(default_factory=list)
    pieces: list[pa.Array] = field(default_factory=list)

    def add_varying(self, values: pa.Array, counts: NDArray[np.int32]) -> None:
        """A 4-byte count of elements and then the bytes themselves."""
        self.fixed.append(counts.astype(">i4"))
        self.pieces += [_as_binary(self._block()), values]
        self.fixed = []

    def stream(self) -> bytes:
        """All rows, one after the other."""
        if not self.pieces:
            return self._block().tobytes()
        if self.fixed:
            self.pieces.append(_as_binary(self._block()))
        return cells.content(pc.binary_join_element_wise(*self.pieces, pa.scalar(b"", pa.large_binary())))

    def _block(self) -> NDArray[Any]:
        """The waiting columns of fixed width as one packed structured array."""
        columns = {f"c{number}": column for number, column in enumerate(self.fixed)}
        block = np.empty(self.row_count, dtype=[(name, c.dtype, c.shape[1:]) for name, c in columns.items()])
        for name, column in columns.items():
            block[name] = column
        return block


def _null_flags(batch: pa.RecordBatch) -> NDArray[np.uint8]:
    """One bit a column, the first column in the highest bit; shape (rows, ceil(columns / 8))."""
    nulls = np.zeros((batch.num_rows, batch.num_columns), dtype=np.bool_)
    for number, column in enumerate(batch.columns):
        if column.null_count:
            nulls[:, number] = column.is_null().to_numpy(zero_copy_only=False)
    return np.packbits(nulls, axis=1)


def _add(layout: _Layout, column: pa.Array, described: Field) -> None:
    """Append one column to the layout."""
    if described.datatype in {DataType.CHAR, DataType.TIMESTAMP}:
        texts = cells.ascii_text(column, described).fill_null("").cast(pa.large_binary())
        layout.add_varying(texts, pc.binary_length(texts).to_numpy().astype(np.int32))
    elif described.arraysize is None:
        layout.fixed.append(_numbers(column, described.datatype))
    elif described.arraysize.isdecimal():
        layout.fixed.append(_fixed_lists(column, described.datatype, length=int(described.arraysize)))
    else:
        _add_lists(layout, column, described.datatype)


def _numbers(column: pa.Array, datatype: DataType) -> NDArray[Any]:
    """Values of a scalar column, big-endian; nulls as NaN, 0 or '?'."""
    if datatype is DataType.BOOLEAN:
        codes = pc.if_else(column, pa.scalar(_TRUE, pa.uint8()), pa.scalar(_FALSE, pa.uint8()))
        return np.asarray(codes.fill_null(_UNKNOWN).to_numpy())
    if column.null_count:
        column = column.fill_null(pa.scalar(np.nan if pa.types.is_floating(column.type) else 0, column.type))
    return np.asarray(column.to_numpy().astype(_BIG_ENDIAN[datatype]))


def _fixed_lists(column: pa.Array, datatype: DataType, *, length: int) -> NDArray[Any]:
    """Lists of a fixed length, shape (rows, length); a null list is filled with the null of its element."""
    filler = _numbers(pa.nulls(length, column.type.value_type), datatype)
    values = np.tile(filler, (len(column), 1))
    present = column.is_valid().to_numpy(zero_copy_only=False)
    values[present] = _numbers(column.drop_null().flatten(), datatype).reshape(-1, length)
    return values


def _add_lists(layout: _Layout, column: pa.Array, datatype: DataType) -> None:
    """Lists of varying length: a null list has no elements."""
    counts = pc.list_value_length(column).fill_null(0).to_numpy().astype(np.int64)
    elements = _numbers(column.flatten(), datatype)
    ends = np.concatenate([[0], np.cumsum(counts)]) * elements.dtype.itemsize
    layout.add_varying(_large_binary(ends, elements), counts.astype(np.int32))


def _as_binary(block: NDArray[Any]) -> pa.Array:
    """Each row of a packed array as one binary value."""
    return _large_binary(np.arange(len(block) + 1, dtype=np.int64) * block.dtype.itemsize, block)


def _large_binary(offsets: NDArray[np.int64], data: NDArray[Any]) -> pa.Array:
    """A binary column over existing memory."""
    buffers = [None, pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(np.ascontiguousarray(data).view(np.uint8))]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
