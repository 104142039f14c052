"""Collect: what a person sees of the platform, asked from the Web APIs with their own token."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pachon.portal.density import Tile

if TYPE_CHECKING:
    import numpy as np

    from pachon.portal.turn import Later
    from pachon_client import Change, Execution, Query, QuerySummary, Release, Result, Running, Table

_CACHE_BYTES = 256 * 1024**2
_FRESH_S = 30.0
"""With the time for which the Web APIs believe the hub, rights that are lost are lost within a minute."""

T = TypeVar("T")


class Source(Protocol):
    """What the Portal asks of the platform; `pachon_client.Client` keeps it. All methods block."""

    def query(self, adql: str, max_rows: int | None = None) -> Result:
        """Run an ADQL query and wait for its rows."""
        ...

    def releases(self) -> tuple[Release, ...]:
        """Releases the person may see."""
        ...

    def release(self, release_id: str) -> Release:
        """One of them, with its history."""
        ...

    def executions(self, limit: int) -> tuple[Execution, ...]:
        """The last things the person ran, newest first."""
        ...

    def ask(self, adql: str, name: str = "", *, max_rows: int | None = None, **more: Any) -> Query:  # noqa: ANN401 -- members differ
        """Save a query and run it; its rows stay with it."""
        ...

    def open(self, query: str) -> Query:
        """A saved query by its id or an address that has it."""
        ...

    def queries(self, text: str = "", *, limit: int = 50, **conditions: str) -> tuple[QuerySummary, ...]:
        """Saved queries of the person and those shared with them, newest change first."""
        ...

    def running(self) -> tuple[Running, ...]:
        """What waits or executes of the person, from any program, newest first."""
        ...

    def changes(self, address: str = "", *, after: str = "") -> Iterator[Change]:
        """What changes of all that the person may see, as it happens; ends when the connection is closed."""
        ...

    def tile(self, table: str, order: int, pixel: int) -> np.ndarray[Any, Any]:
        """Row counts of the 65,536 children of a HEALPix pixel."""
        ...

    def close(self) -> None:
        """Close the connections; a request under way ends with an error."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Who uses this session; the token is theirs and never leaves the server."""

    name: str
    token: str

    @property
    def key(self) -> str:
        """Tells what one token may see from what another may."""
        return hashlib.sha256(self.token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A table with positions, and the release it belongs to."""

    release: Release
    table: Table

    @property
    def name(self) -> str:
        """Qualified name."""
        return self.table.name

    @property
    def label(self) -> str:
        """What a person reads in the selector."""
        title = self.release.title or self.release.id
        return title if len(self.release.tables) == 1 else f"{title}: {self.name.rpartition('.')[2]}"


def catalogues_of(releases: Iterable[Release]) -> tuple[Catalogue, ...]:
    """Tables that can be drawn on a map, the largest first."""
    found = [Catalogue(release, table) for release in releases for table in release.tables if table.has_position]
    return tuple(sorted(found, key=lambda catalogue: -(catalogue.table.row_count or 0)))


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads that all sessions share, apart by what they wait for: slow queries never keep a map from being drawn.

    Parameters
    ----------
    drawing
        Work that computes.
    asking
        Work that waits for queries, look-ups and lists of runs.
    collecting
        Work that waits for what a map is made of: the catalogues, and the tiles of a view.
    fetching
        Single tiles, several for one piece of work in `collecting`.
    """

    drawing: Executor
    asking: Executor
    collecting: Executor
    fetching: Executor


class TileCache:
    """Tiles fetched lately, for all sessions of this process, apart for each person; safe to use from threads."""

    def __init__(self, *, limit_bytes: int = _CACHE_BYTES, fresh_s: float = _FRESH_S) -> None:
        self._limit_bytes = limit_bytes
        self._fresh_s = fresh_s
        self._size_bytes = 0
        self._tiles: OrderedDict[tuple[str, str, int, int], tuple[float, np.ndarray[Any, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str, int, int]) -> np.ndarray[Any, Any] | None:
        """The counts kept under a key, unless they are too old."""
        with self._lock:
            kept = self._tiles.get(key)
            if kept is None or time.monotonic() - kept[0] > self._fresh_s:
                return None
            self._tiles.move_to_end(key)
            return kept[1]

    def put(self, key: tuple[str, str, int, int], counts: np.ndarray[Any, Any]) -> None:
        """Keep counts, dropping those not used for longest."""
        with self._lock:
            if (old := self._tiles.pop(key, None)) is not None:
                self._size_bytes -= old[1].nbytes
            self._tiles[key] = (time.monotonic(), counts)
            self._size_bytes += counts.nbytes
            while self._size_bytes > self._limit_bytes:
                _, (_, dropped) = self._tiles.popitem(last=False)
                self._size_bytes -= dropped.nbytes


class Tiles:
    """The tiles that one person may see."""

    def __init__(self, source: Source, cache: TileCache, pool: Executor, *, person: Person) -> None:
        self._source = source
        self._cache = cache
        self._pool = pool
        self._person = person.key

    def at_hand(self, table: str, order: int, pixels: Iterable[int]) -> dict[int, Tile]:
        """For each pixel its tile, or the smallest ancestor that is here already; without those that have none."""
        found = ((pixel, self._nearest(table, order, pixel)) for pixel in pixels)
        return {pixel: tile for pixel, tile in found if tile is not None}

    def fetch(self, table: str, order: int, pixels: Iterable[int]) -> None:
        """Get the tiles that are not here, several at a time.

        Raises
        ------
        pachon_client.PachonClientError
            If one cannot be had.
        """
        missing = [pixel for pixel in pixels if self._cache.get((self._person, table, order, pixel)) is None]
        for _ in self._pool.map(lambda pixel: self._fetch(table, order, pixel), missing):
            pass

    def _fetch(self, table: str, order: int, pixel: int) -> None:
        self._cache.put((self._person, table, order, pixel), self._source.tile(table, order, pixel))

    def _nearest(self, table: str, order: int, pixel: int) -> Tile | None:
        for missing in range(order + 1):
            counts = self._cache.get((self._person, table, order - missing, pixel >> 2 * missing))
            if counts is not None:
                return Tile(counts, missing)
        return None


class Newest:
    """Does work of one kind in the background, one piece at a time; of those that wait only the newest is done.

    Parameters
    ----------
    pool
        Where the work is done.
    turn
        Calls a function in the session's own turn; safe to call from threads.
    """

    def __init__(self, pool: Executor, turn: Later) -> None:
        self._pool = pool
        self._turn = turn
        self._is_busy = False
        self._waiting: Callable[[], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether some work is under way."""
        return self._is_busy

    def ask(self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]) -> None:
        """Do `work` in the background, then call `then` with its result or `failed` with what it raised."""
        if self._is_busy:
            self._waiting = lambda: self.ask(work, then, failed)
            return
        self._is_busy = True
        self._pool.submit(work).add_done_callback(lambda done: self._turn(lambda: self._finish(done, then, failed)))

    def _finish(self, done: Future[T], then: Callable[[T], None], failed: Callable[[BaseException], None]) -> None:
        self._is_busy = False
        error = done.exception()
        try:
            if error is None:
                then(done.result())
            else:
                failed(error)
        finally:
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting()
