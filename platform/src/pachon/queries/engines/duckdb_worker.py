"""One query worker: a process with a locked, read-only DuckDB. The only module that names DuckDB.

Started as `python -m pachon.queries.engines.duckdb_worker <socket descriptor>`. The main thread runs statements, a
second one listens for cancellations; when the socket closes, however its owner ended, the process leaves at once.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
import warnings
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import ARROW, SPECIAL
from duckdb.sqltypes import DOUBLE
from numpy.typing import NDArray

from pachon.core import healpix_grid
from pachon.core.healpix import PromptIndex
from pachon.queries.engines import frames
from pachon.queries.engines.duckdb_near import DISC_ORDER, DISC_PIXELS, PIXEL
from pachon.queries.engines.frames import Kind
from pachon.queries.sphere import FUNCTIONS

_BATCH_ROWS = 65_536
_index_of = PromptIndex()

_HELD_ROWS = 120_000

_FAILURES = (
    ("INTERRUPT", "interrupted"),
    ("Out of Memory", "memory"),
    ("Out of Range", "range"),
    ("Conversion", "conversion"),
    ("Invalid Input", "conversion"),
    ("IO Error", "files"),
    ("HTTP", "files"),
)
"""How messages begin: while rows stream, DuckDB's errors arrive as Arrow's, known by their text alone."""


_FULL = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")


def _kind_of(error: Exception) -> str:
    if any(words in str(error) for words in _FULL):
        return "spill"
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
        return "memory"
    return next((kind for start, kind in _FAILURES if str(error).startswith(start)), "fault")


def connect(config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """An in-memory database that can read the release folders and nothing else, with its settings locked.

    The order matters: folders are allowed before access to everything else goes, and the lock comes last.
    """
    connection = duckdb.connect(":memory:")
    for name, function in FUNCTIONS.items():
        types: list[Any] = list(function.parameters)
        connection.create_function(name, function.compute, types, function.result, type=ARROW, null_handling=SPECIAL)
    folders = ", ".join(_literal(folder) for folder in config["folders"])
    for statement in (
        f"SET threads = {int(config['threads'])}",
        f"SET memory_limit = '{int(config['memory_bytes'])} B'",
        f"SET temp_directory = {_literal(config['temp_folder'])}",
        f"SET max_temp_directory_size = '{int(config['temp_bytes'])} B'",
        "SET parquet_metadata_cache = true",
        "SET python_enable_replacements = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET allow_community_extensions = false",
        f"SET allowed_directories = [{folders}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    add_functions(connection)
    connection.execute("SELECT 1").fetchall()
    return connection


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """The functions for HEALPix pixels: see `duckdb_near`."""
    for name, function, numbers, result in (
        (DISC_PIXELS, _disc_pixels, 4, "BIGINT[]"),
        (DISC_ORDER, _disc_order, 1, "BIGINT"),
        (PIXEL, _pixel, 2, "BIGINT"),
    ):
        connection.create_function(
            name,
            function,
            [DOUBLE] * numbers,
            result,
            type=ARROW,
            null_handling=SPECIAL,
        )


def _disc_pixels(ra: pa.Array, dec: pa.Array, radius: pa.Array, order: pa.Array) -> pa.Array:
    orders = _numbers(order.fill_null(0)).astype(np.int64)
    rows, pixels = healpix_grid.disc_pixels(_numbers(ra), _numbers(dec), _numbers(radius), orders)
    places = np.searchsorted(rows, np.arange(len(orders) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(places), pa.array(pixels))


def _disc_order(radius: pa.Array) -> pa.Array:
    values = _numbers(radius)
    valid = values >= 0
    return pa.array(healpix_grid.orders_for(np.where(valid, values, 0.0)), mask=~valid)


def _pixel(ra_deg: pa.Array, dec_deg: pa.Array) -> pa.Array:
    """Order 29 nested index of positions; NULL where there is none."""
    ra, dec = _numbers(ra_deg), _numbers(dec_deg)
    known = np.isfinite(ra) & (np.abs(dec) <= 90)  # noqa: PLR2004 -- the poles
    found = np.zeros(len(ra), dtype=np.int64)
    found[known] = _index_of(ra[known], dec[known])
    return pa.array(found, mask=~known)


def _numbers(column: pa.Array) -> NDArray[np.float64]:
    """NULL as NaN."""
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Worker:
    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._requests: queue.SimpleQueue[tuple[dict[str, Any], dict[str, pa.Table]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: int | None = None
        self._cancelled: int | None = None
        _, payload = frames.receive(wire)
        self._database = connect(json.loads(payload))

    def serve(self) -> None:
        """Answer requests until the socket closes."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        frames.send(self._wire, Kind.READY)
        while True:
            request, tables = self._requests.get()
            with self._lock:
                self._running = request["id"]
            try:
                self._answer(request, tables)
            except (duckdb.Error, pa.ArrowException, OSError, MemoryError, RuntimeError) as error:
                self._fail(_kind_of(error), str(error))

    def _answer(self, request: dict[str, Any], tables: dict[str, pa.Table]) -> None:
        for name, table in tables.items():
            self._database.register(name, table)
        try:
            reader = self._open(request["sql"], request["max_rows"])
            frames.send(self._wire, Kind.SCHEMA, memoryview(reader.schema.serialize()))
            for batch in reader:
                if self._cancelled == request["id"]:
                    break
                if batch.num_rows:
                    frames.send(self._wire, Kind.BATCH, memoryview(batch.serialize()))
        finally:
            self._end()
            for name in tables:
                self._database.unregister(name)
        if self._cancelled == request["id"]:
            self._fail("interrupted", "")
        else:
            frames.send(self._wire, Kind.DONE)

    def _open(self, sql: str, max_rows: int | None) -> pa.RecordBatchReader:
        """`execute` holds the result but plans once; `sql` streams but plans twice, which small answers would feel."""
        if max_rows is not None and max_rows <= _HELD_ROWS:
            return self._database.execute(sql).to_arrow_reader(_BATCH_ROWS)
        return self._database.sql(sql).to_arrow_reader(_BATCH_ROWS)

    def _end(self) -> None:
        with self._lock:
            self._running = None

    def _fail(self, kind: str, detail: str) -> None:
        frames.send(self._wire, Kind.FAILED, json.dumps({"kind": kind, "detail": detail}).encode())

    def _listen(self) -> None:
        try:
            while True:
                kind, payload = frames.receive(self._wire)
                message = json.loads(payload)
                if kind is Kind.QUERY:
                    self._requests.put((message, {name: self._table() for name in message["tables"]}))
                elif kind is Kind.CANCEL:
                    self._cancel(message["id"])
        except frames.ClosedError:
            os._exit(0)

    def _table(self) -> pa.Table:
        _, payload = frames.receive(self._wire)
        return pa.ipc.open_stream(pa.py_buffer(payload)).read_all()

    def _cancel(self, request_id: int) -> None:
        with self._lock:
            self._cancelled = request_id
            if self._running == request_id:
                self._database.interrupt()


class _PandasStaysOut:
    """Finds no pandas: see `leave_pandas_out`."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def leave_pandas_out() -> None:
    """Keep DuckDB from importing pandas at the first call of a function of ours: a second, and 30 MB, for nothing."""
    sys.meta_path.insert(0, cast("Any", _PandasStaysOut()))


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")  # meant: see _Worker._open
    leave_pandas_out()
    wire = socket.socket(fileno=int(sys.argv[1]))
    try:
        _new_worker(wire).serve()
    except frames.ClosedError:
        os._exit(0)


def _new_worker(wire: socket.socket) -> _Worker:
    """A worker with its database; if there is none, its owner learns why."""
    try:
        return _Worker(wire)
    except (duckdb.Error, OSError, RuntimeError) as error:
        frames.send(wire, Kind.FAILED, str(error).encode())
        os._exit(1)


if __name__ == "__main__":
    main()
