"""Finds identifiers that occur twice among the rows of a table, in bounded memory.

Identifiers become 64-bit keys: integers themselves, anything else a hash. Keys are sorted a share of them at a time;
rows whose keys occur twice are then looked at themselves, where equal hashes of different texts are told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYS_AT_ONCE = 20_000_000
_MIX = np.uint64(0x9E3779B97F4A7C15)


def duplicate_keys(
    read: Callable[[], Iterable[pa.RecordBatch]], row_count: int, *, at_once: int = KEYS_AT_ONCE
) -> NDArray[np.int64]:
    """Keys that more than one row has.

    Parameters
    ----------
    read
        Gives all rows, with the columns of the identifier only; it is called once for each share of the keys.
    at_once
        About how many keys are held in memory.
    """
    shares = 1 + row_count // at_once
    return np.concatenate([_repeated(read(), share, shares) for share in range(shares)])


def _repeated(batches: Iterable[pa.RecordBatch], share: int, shares: int) -> NDArray[np.int64]:
    found = [np.empty(0, dtype=np.int64)]
    for batch in batches:
        key = keys(batch)
        found.append(key[_scrambled(key) % np.uint64(shares) == share])
    ordered = np.sort(np.concatenate(found))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def keys(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """One key a row, shape (rows,); equal rows have equal keys."""
    key = _key(batch.column(0))
    for column in batch.columns[1:]:
        key = _scrambled(key).view(np.int64) ^ _key(column)
    return key


def _key(column: pa.Array) -> NDArray[np.int64]:
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return _hashed(column.cast(pa.large_string()))


def _hashed(texts: pa.Array) -> NDArray[np.int64]:
    """A sum over the bytes of each text, modulo 2^64, with a weight for each place (multilinear hashing)."""
    _, offsets_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    starts, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    weights = _scrambled(np.arange(data.size) - np.repeat(starts, ends - starts)) | np.uint64(1)
    sums = np.concatenate([[np.uint64(0)], np.cumsum((data.astype(np.uint64) + np.uint64(1)) * weights)])
    return np.asarray((sums[ends] - sums[starts]).view(np.int64))


def _scrambled(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Other numbers, one for each, without the pattern of the first."""
    mixed = (numbers.view(np.uint64) + np.uint64(1)) * _MIX
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) * _MIX >> np.uint64(1))
