"""Density tiles: how many rows of a table lie in each small piece of a HEALPix pixel.

A tile of order k and pixel p (nested, ICRS) has the counts of the 4**8 = 65,536 children of p at order k + 8, in nested
order. Order 0 comes from a density map, if there is one of just these files; otherwise the sorted spatial index of the
rows is counted.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pachon.core.errors import UsageError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pachon.identity.models import Principal
    from pachon.releases.models import Partition, Snapshot
    from pachon.releases.service import ReleaseService

TILE_DEPTH = 8
TILE_SIZE = 4**TILE_DEPTH
MAX_ORDER = 12
_CACHE_BYTES = 64 * 1024**2
_ROWS_AT_ONCE = 4_000_000
"""Of which a count holds the indices, a few times 8 bytes each."""


class Catalogue(Protocol):
    """What a tile needs of the files of a snapshot; `releases.hats.reader.SnapshotCatalogue` keeps it."""

    def skymap(self) -> NDArray[np.uint32] | None:
        """Rows per nested pixel of order 8, shape (12 * 4**8,); None if there is no such map of just these files."""
        ...

    def indices(self, start: int, stop: int) -> NDArray[np.int64]:
        """Order 29 indices of all rows in the half-open range [start, stop), in any order."""
        ...


class TileService:
    """Counts rows, for tables that the person may query.

    Parameters
    ----------
    releases
        Decides which tables those are.
    open_catalogue
        Opens the catalogue of a snapshot that has at least one partition.
    cache_bytes
        Size of the tiles kept in memory.
    rows_at_once
        About how many rows one count holds in memory; a wide tile is counted piece by piece.
    """

    def __init__(
        self,
        releases: ReleaseService,
        open_catalogue: Callable[[Snapshot], Catalogue],
        *,
        cache_bytes: int = _CACHE_BYTES,
        rows_at_once: int = _ROWS_AT_ONCE,
    ) -> None:
        self._releases = releases
        self._open_catalogue = open_catalogue
        self._cache = _TileCache(cache_bytes)
        self._rows_at_once = rows_at_once

    def etag(self, principal: Principal, table_name: str, order: int, pixel: int) -> str:
        """A strong ETag (RFC 9110, section 8.8.3): changes whenever the rows of the table do.

        Raises
        ------
        UsageError, NotFoundError
            As `counts`.
        """
        _check(order, pixel)
        return f'"{_fingerprint(self._snapshot(principal, table_name))}-{order}-{pixel}"'

    def counts(self, principal: Principal, table_name: str, order: int, pixel: int) -> NDArray[np.unsignedinteger]:
        """Rows in each of the children of a pixel, eight orders below it.

        Parameters
        ----------
        table_name
            Qualified name, whatever its case.
        order, pixel
            The tile: 0 <= order <= 12, nested pixel number.

        Returns
        -------
        numpy.ndarray
            Shape (65536,), in the smallest unsigned integer type that holds them.

        Raises
        ------
        UsageError
            If there is no such pixel, or the table has no positions.
        NotFoundError
            If there is no such table, or none that this person may query.
        """
        _check(order, pixel)
        snapshot = self._snapshot(principal, table_name)
        key = (_fingerprint(snapshot), order, pixel)
        found = self._cache.get(key)
        if found is None:
            found = self._count(snapshot, order, pixel)
            self._cache.put(key, found)
        return found

    def _snapshot(self, principal: Principal, table_name: str) -> Snapshot:
        snapshot = self._releases.snapshot(principal, table_name)
        if not snapshot.table.has_position:
            raise UsageError(f"Table '{snapshot.table.qualified_name}' has no positions, so it has no density.")
        return snapshot

    def _count(self, snapshot: Snapshot, order: int, pixel: int) -> NDArray[np.unsignedinteger]:
        if not snapshot.partitions:
            return np.zeros(TILE_SIZE, dtype=np.uint8)
        catalogue = self._open_catalogue(snapshot)
        if order == 0 and (skymap := catalogue.skymap()) is not None:
            return _smallest(skymap[pixel * TILE_SIZE : (pixel + 1) * TILE_SIZE])
        shift = 2 * (SPATIAL_INDEX_ORDER - order - TILE_DEPTH)
        counts = np.zeros(TILE_SIZE, dtype=np.int64)
        width = TILE_SIZE // _pieces(snapshot, order, pixel, rows_at_once=self._rows_at_once)
        for start in range(0, TILE_SIZE, width):
            first = pixel * TILE_SIZE + start
            indices = catalogue.indices(first << shift, (first + width) << shift)
            counts[start : start + width] = np.bincount((indices >> shift) - first, minlength=width)
        return _smallest(counts)


def _pieces(snapshot: Snapshot, order: int, pixel: int, *, rows_at_once: int) -> int:
    """In how many equal pieces a tile is counted: a power of two."""

    def meets(part: Partition) -> bool:
        shift = 2 * abs(part.order - order)
        return part.pixel >> shift == pixel if part.order >= order else pixel >> shift == part.pixel

    rows = sum(part.row_count for part in snapshot.partitions if meets(part))
    pieces = 1
    while pieces * rows_at_once < rows and pieces < TILE_SIZE:
        pieces *= 2
    return pieces


class _TileCache:
    """The tiles used last, up to a number of bytes; safe to use from several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._tiles: OrderedDict[tuple[str, int, int], NDArray[np.unsignedinteger]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int, int]) -> NDArray[np.unsignedinteger] | None:
        with self._lock:
            found = self._tiles.get(key)
            if found is not None:
                self._tiles.move_to_end(key)
            return found

    def put(self, key: tuple[str, int, int], tile: NDArray[np.unsignedinteger]) -> None:
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = tile
            self._size_bytes += tile.nbytes
            while self._size_bytes > self._limit_bytes:
                _, dropped = self._tiles.popitem(last=False)
                self._size_bytes -= dropped.nbytes


def _check(order: int, pixel: int) -> None:
    if not 0 <= order <= MAX_ORDER:
        raise UsageError(f"order must be a whole number from 0 to {MAX_ORDER}, not {order}.", parameter="order")
    last = pixel_count(order) - 1
    if not 0 <= pixel <= last:
        message = f"pixel must be a whole number from 0 to {last} at order {order}, not {pixel}."
        raise UsageError(message, parameter="pixel")


def _fingerprint(snapshot: Snapshot) -> str:
    """Tells one state of a table from another: its files, their sizes in rows, and when the first was written.

    A release that is built anew, and a living table that changes, get files of other names. A name is used again at
    most when a whole build was removed, and then for all files.
    """
    digest = hashlib.sha256(snapshot.table.qualified_name.encode())
    for part in snapshot.partitions:
        digest.update(f"{part.path}\0{part.row_count}\0{part.valid_from}\n".encode())
    if snapshot.partitions:
        status = snapshot.partitions[0].path.stat()
        digest.update(f"{status.st_ino}/{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def _smallest(counts: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
    tile = counts.astype(np.min_scalar_type(int(counts.max())))
    tile.flags.writeable = False
    return tile
