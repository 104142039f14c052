"""Reads CSV with a line of names, also compressed by gzip. All values are texts, to be understood by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from pachon.releases.importing.models import SourceColumn, UnreadableFileError

_BLOCK_BYTES = 4 * 1024**2
_GZIP = ".gz"
_OTHER_SEPARATORS = {b";": "';'", b"\t": "tabs", b"|": "'|'"}
_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class CsvSource:
    """A CSV file in UTF-8 (RFC 4180); it says nothing of units. An empty value that is not quoted is missing."""

    path: Path
    is_text: bool = True
    states_units: bool = False

    @cached_property
    def columns(self) -> tuple[SourceColumn, ...]:
        """As in the first line."""
        try:
            with self._stream() as stream:
                _check_separator(stream.read(_HEAD_BYTES).partition(b"\n")[0])
            names = self._open(None, []).schema.names
        except (UnicodeDecodeError, pa.ArrowException, OSError, EOFError) as error:
            raise _explain(error, []) from None
        return tuple(SourceColumn(name, pa.string()) for name in names)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, some four megabytes of text at a time."""
        uneven: list[csv.InvalidRow] = []
        reader = self._open([column.name for column in self.columns], uneven)
        while (batch := self._next(reader, uneven)) is not None:
            yield batch

    def _next(self, reader: csv.CSVStreamingReader, uneven: list[csv.InvalidRow]) -> pa.RecordBatch | None:
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None
        except (pa.ArrowException, OSError, EOFError) as error:
            raise _explain(error, uneven) from None

    def _stream(self) -> pa.NativeFile:
        return pa.input_stream(self.path, compression="gzip" if self.path.suffix == _GZIP else None)

    def _open(self, names: list[str] | None, uneven: list[csv.InvalidRow]) -> csv.CSVStreamingReader:
        def remember(row: csv.InvalidRow) -> str:
            uneven.append(row)
            return "error"

        try:
            return csv.open_csv(
                self._stream(),
                read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
                parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=remember),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(names or [], pa.string()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
        except (pa.ArrowException, OSError, EOFError) as error:
            raise _explain(error, uneven) from None


def _check_separator(names: bytes) -> None:
    """A line of names with another separator and no comma would become one column."""
    sign = next((sign for sign in _OTHER_SEPARATORS if sign in names), None)
    if sign is not None and b"," not in names:
        message = f"the names in the first line are separated by {_OTHER_SEPARATORS[sign]}; in CSV a comma is allowed."
        raise UnreadableFileError(message)


def _explain(error: Exception, uneven: list[csv.InvalidRow]) -> UnreadableFileError:
    if uneven:
        message = f"the row has {uneven[0].actual_columns} values, and there are {uneven[0].expected_columns} columns."
        return UnreadableFileError(message, row=uneven[0].number - 1 if uneven[0].number else None)
    if "Empty CSV" in str(error):
        return UnreadableFileError("the file is no CSV: a line of names and a line for each row are expected.")
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return UnreadableFileError(f"the file is damaged, or no CSV in UTF-8 ({reason}).")
