"""The folder of a table in the making: begun once, gone on with after a crash, and complete in one instant."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from pachon.core.errors import ConflictError

WORK = ".build"
THREADS = min(4, os.cpu_count() or 1)
"""Blocks of rows that are worked on at once; each costs memory."""
BLOCK_BYTES = 64 * 1024**2
_PIECE_ROWS = 65_536
_KEY = "key"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workplace:
    """A table's folder while the table is written; what is not final lies in its folder `.build`.

    Parameters
    ----------
    folder
        Made if it does not exist. It must be empty, or what an interrupted build left.
    key
        Says from what the table is made. What a build with another key left is removed; the same key goes on from what
        is complete. The empty key never goes on.

    Raises
    ------
    ConflictError
        If the folder holds anything else.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.work = folder / WORK
        if not self._is_same(key):
            self._begin(key)

    def _is_same(self, key: str) -> bool:
        try:
            return bool(key) and (self.work / _KEY).read_text(encoding="utf-8") == key
        except FileNotFoundError:
            return False

    def _begin(self, key: str) -> None:
        if self.work.is_dir():
            self.discard()
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise ConflictError(f"{self.folder} must be empty before a table can be written there.")
        self.work.mkdir()
        with replacing(self.work / _KEY) as path:
            path.write_text(key, encoding="utf-8")

    def discard(self) -> None:
        """Remove all that was written; the mark of the build goes last, so that this can be repeated after a crash."""
        for path in self.folder.iterdir():
            if path != self.work:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.work)

    def clean(self) -> None:
        """Remove what only the build needed; its key goes first, for what is left is then a build of nobody."""
        shutil.rmtree(self.work)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; when the block ends without error it is on disk and has the right name."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    yield unfinished
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.replace(path)


def in_threads(task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of a task in the order of the items, computed by `THREADS` threads, no more than one item ahead."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for item in items:
                pending.append(pool.submit(task, item))
                if len(pending) > THREADS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def in_blocks(batches: Iterable[pa.RecordBatch], *, rows: int = sys.maxsize) -> Iterator[pa.Table]:
    """A stream in blocks of so many rows or some 64 MiB, whichever is less; the last may be smaller."""
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for piece in _pieces(batches):
        start = 0
        while start < len(piece):
            taken = piece.slice(start, rows - held_rows)
            start += len(taken)
            held.append(taken)
            held_rows += len(taken)
            held_bytes += taken.nbytes
            if held_rows == rows or held_bytes >= BLOCK_BYTES:
                yield pa.Table.from_batches(held)
                held, held_rows, held_bytes = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, len(batch), _PIECE_ROWS):
            yield batch.slice(start, _PIECE_ROWS)
