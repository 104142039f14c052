"""Reads binary tables of FITS (FITS standard 4.0, section 7.3), some rows at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from astropy.io import fits

from pachon.releases.importing.models import SourceColumn, UnreadableFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_BYTES = 8 * 1024**2
_TYPES = "LBIJKEDA"
_SIGNS = {1: -(1 << 7), 2: 1 << 15, 4: 1 << 31, 8: 1 << 63}
"""TZERO by which unsigned integers (signed bytes) are kept, by size in bytes (section 5.2.5)."""


@dataclass(frozen=True)
class _Column:
    """A column of the table: `dtype` is that of its field in a row as stored."""

    name: str
    dtype: np.dtype[Any]
    is_text: bool
    is_logical: bool
    unit: str | None
    ucd: str | None
    null: int | None
    scale: float
    zero: float

    def arrow(self, rows: NDArray[Any]) -> pa.Array:
        """The values of some rows; texts as bytes, and none where they are blank."""
        values = np.ascontiguousarray(rows[self.name])
        if self.is_text:
            texts = np.strings.rstrip(values, b" ")
            return pa.array(texts.astype(object), pa.binary(), mask=texts == b"")
        flat = values.ravel()
        found = pa.array(*self._scaled(flat)) if not self.is_logical else _logical(flat)
        size = values.shape[1] if values.ndim > 1 else None
        return found if size is None else pa.FixedSizeListArray.from_arrays(found, size)

    def _scaled(self, stored: NDArray[Any]) -> tuple[NDArray[Any], pa.DataType | None, NDArray[np.bool_] | None]:
        """Values in the byte order of this machine, and where there are none."""
        native = stored.astype(stored.dtype.newbyteorder("="))
        missing = native == self.null if self.null is not None and native.dtype.kind in "iu" else None
        if (self.scale, self.zero) == (1, 0):
            return native, None, missing
        if self.scale == 1 and native.dtype.kind in "iu" and self.zero == _SIGNS[native.dtype.itemsize]:
            kind = "i" if native.dtype.itemsize == 1 else "u"
            sign_bit = native.dtype.type(1 << 7) if kind == "i" else np.iinfo(native.dtype).min
            return (native ^ sign_bit).view(f"{kind}{native.dtype.itemsize}"), None, missing
        return native * self.scale + self.zero, None, missing


def _logical(stored: NDArray[Any]) -> pa.Array:
    """`T` and `F`; anything else is no value."""
    codes = stored.view(np.uint8)
    return pa.array(codes == ord("T"), mask=(codes != ord("T")) & (codes != ord("F")))


@dataclass(frozen=True)
class FitsSource:
    """The first binary table of a FITS file."""

    path: Path
    is_text: bool = False
    states_units: bool = True

    @cached_property
    def _table(self) -> tuple[int, int, tuple[_Column, ...], np.dtype[Any]]:
        """Where the rows begin, how many there are, and what is in them."""
        try:
            with (
                warnings.catch_warnings(action="ignore"),
                fits.open(self.path, memmap=True, lazy_load_hdus=True) as hdus,
            ):
                table = next(hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU))
                start, rows = table.fileinfo()["datLoc"], int(table.header["NAXIS2"])
                columns = tuple(
                    _column(column, table.header.get(f"TUCD{number}")) for number, column in enumerate(table.columns, 1)
                )
                dtype = np.dtype([(column.name, column.dtype) for column in columns])
                if dtype.itemsize != table.header["NAXIS1"]:
                    raise UnreadableFileError("the columns of the table are not as long as its rows (NAXIS1).")
                return start, rows, columns, dtype
        except StopIteration:
            raise UnreadableFileError("the file holds no binary table (XTENSION = 'BINTABLE').") from None
        except (OSError, ValueError, KeyError, TypeError, fits.VerifyError) as error:
            raise UnreadableFileError(f"the file is damaged, or no FITS file ({error}).") from None

    @cached_property
    def columns(self) -> tuple[SourceColumn, ...]:
        """As in the header of the table."""
        _, _, columns, dtype = self._table
        return tuple(
            SourceColumn(column.name, column.arrow(np.zeros(1, dtype)).type, column.unit, column.ucd)
            for column in columns
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, some eight megabytes at a time."""
        start, rows, columns, dtype = self._table
        at_once = max(1, _BATCH_BYTES // dtype.itemsize)
        names = [column.name for column in columns]
        with self.path.open("rb") as file:
            file.seek(start)
            for done in range(0, rows, at_once):
                count = min(at_once, rows - done)
                block = np.fromfile(file, dtype=dtype, count=count)
                if len(block) < count:
                    message = f"the file ends here, and its header promises {rows} rows."
                    raise UnreadableFileError(message, row=done + len(block) + 1)
                yield pa.RecordBatch.from_arrays([column.arrow(block) for column in columns], names=names)


def _column(column: Any, ucd: str | None) -> _Column:  # noqa: ANN401 -- astropy's columns have no types
    code = column.format.format
    if code not in _TYPES:
        allowed = ", ".join(_TYPES)
        raise UnreadableFileError(f"column {column.name} has format {column.format} (TFORM); allowed are {allowed}.")
    dtype = np.dtype(column.dtype).newbyteorder(">")
    return _Column(
        name=column.name,
        dtype=dtype,
        is_text=code == "A",
        is_logical=code == "L",
        unit=column.unit or None,
        ucd=ucd or None,
        null=None if column.null in {None, ""} else int(column.null),
        scale=1.0 if column.bscale in {None, ""} else column.bscale,
        zero=0.0 if column.bzero in {None, ""} else column.bzero,
    )
