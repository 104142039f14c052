"""What the engine really does with a plan: rows, bytes read of files, seconds; by its own profiler."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from pachon.queries.engines.duckdb_sql import write
from pachon.queries.engines.duckdb_worker import add_functions
from pachon.queries.plan import Plan


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows of the answer, bytes of column chunks read with the footers known, seconds on one thread."""

    rows: int
    size_bytes: int
    seconds: float


def measure(plan: Plan) -> Measured:
    """Run a plan twice and profile the second run, so that footers are at hand as in a worker, and nothing else is."""
    statement = write(plan)
    with TemporaryDirectory() as folder, duckdb.connect(":memory:") as database:
        profile = Path(folder) / "profile.json"
        for setting in ("threads = 1", "parquet_metadata_cache = true", "enable_external_file_cache = false"):
            database.execute(f"SET {setting}")
        for name, rows in statement.rows.items():
            database.register(name, rows)
        add_functions(database)
        database.execute(statement.sql).fetchnumpy()
        database.execute("PRAGMA enable_profiling = 'json'")
        database.execute(f"PRAGMA profiling_output = '{profile}'")
        start = time.perf_counter()
        answer = database.execute(statement.sql).fetchnumpy()
        seconds = time.perf_counter() - start
        database.execute("PRAGMA disable_profiling")
        told = json.loads(profile.read_text())
    return Measured(len(next(iter(answer.values()))), told["io"]["total_bytes_read"], seconds)


def factor(one: float, other: float) -> float:
    """How many times the larger of two counts is the smaller, each with one added."""
    return max((one + 1) / (other + 1), (other + 1) / (one + 1))
