"""Who else answers: DuckDB without a service around it, and Debian's PostgreSQL with q3c."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pachon.core.healpix import SPATIAL_INDEX_ORDER, cone_index_ranges
from pachon.core.sky import Cone
from pachon.queries.engines.duckdb_worker import connect
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.models import Snapshot
from support.postgres import binaries, running_postgres
from support.stores import snapshot_of

_BATCH_ROWS = 65_536
_SETTINGS = {
    "shared_buffers": "3GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "8GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_TYPES = {pa.int64(): "bigint", pa.int32(): "integer", pa.int16(): "smallint", pa.uint8(): "smallint"} | {
    pa.float64(): "double precision",
    pa.float32(): "real",
    pa.bool_(): "boolean",
}


class RawDuckDB:
    """The same files and the same threads, asked in DuckDB's own words in this process; rows come as Arrow.

    Parameters
    ----------
    threads
        As many as one query worker has.
    """

    def __init__(self, releases: Path, *, threads: int) -> None:
        self._store = FolderReleaseStore(releases)
        self._snapshots: dict[str, Snapshot] = {}
        self._database = connect(
            {
                "folders": [str(releases.resolve())],
                "temp_folder": "",
                "threads": threads,
                "memory_bytes": 2 * 1024**3,
                "temp_bytes": 0,
            }
        )

    def snapshot(self, table: str) -> Snapshot:
        """The files of a table."""
        if table not in self._snapshots:
            self._snapshots[table] = snapshot_of(self._store, table)
        return self._snapshots[table]

    def files(self, table: str, cone: Cone | None = None) -> str:
        """A table function over those files of a table that a cone may need; over all without one."""
        parts = self.snapshot(table).partitions
        ranges = [] if cone is None else cone_index_ranges(cone)
        wanted = [
            part
            for part in parts
            if cone is None or any(low < stop and high > first for first, stop in [_span(part)] for low, high in ranges)
        ]
        return f"read_parquet({[str(part.path) for part in wanted]!r}, hive_partitioning=false)"

    def fetch(self, sql: str) -> pa.Table:
        """All rows."""
        return self._database.execute(sql).to_arrow_reader(_BATCH_ROWS).read_all()

    @contextmanager
    def holding(self, name: str, rows: pa.Table) -> Iterator[None]:
        """A table in memory under a name, gone at the end."""
        self._database.register(name, rows)
        try:
            yield
        finally:
            self._database.unregister(name)

    def cone_sql(self, table: str, cone: Cone) -> str:
        """What one writes by hand: the files, the range of the index, and the distance."""
        ranges = cone_index_ranges(cone)
        columns = ", ".join(f'"{column.name}"' for column in self.snapshot(table).table.columns)
        bounds = f"_healpix_29 >= {ranges[0][0]} AND _healpix_29 < {ranges[-1][1]}"
        distance = (
            f"2 * asin(sqrt(sin(radians(dec - {cone.dec_deg!r}) / 2) ** 2 + cos(radians(dec)) "
            f"* cos(radians({cone.dec_deg!r})) * sin(radians(ra - {cone.ra_deg!r}) / 2) ** 2))"
        )
        terms = " OR ".join(f"(_healpix_29 >= {low} AND _healpix_29 < {high})" for low, high in _joined(ranges))
        return (
            f"SELECT {columns} FROM {self.files(table, cone)} WHERE {bounds} AND ({terms}) "
            f"AND {distance} <= radians({cone.radius_deg!r})"
        )

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()


def _span(part: Any) -> tuple[int, int]:
    shift = 2 * (SPATIAL_INDEX_ORDER - part.order)
    return part.pixel << shift, (part.pixel + 1) << shift


def _joined(ranges: Any, most: int = 6) -> list[tuple[int, int]]:
    """A few ranges that hold them all: the narrowest gaps are closed."""
    merged = [(int(low), int(high)) for low, high in ranges]
    while len(merged) > most:
        gaps = [merged[n + 1][0] - merged[n][1] for n in range(len(merged) - 1)]
        at = gaps.index(min(gaps))
        merged[at : at + 2] = [(merged[at][0], merged[at + 1][1])]
    return merged


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL that holds the same tables, clustered by q3c."""

    connection: psycopg.Connection[Any]
    version: str

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows, in the binary form of the protocol."""
        with self.connection.cursor(binary=True) as cursor:
            return cursor.execute(sql.encode()).fetchall()

    def load(self, table: str, snapshot: Snapshot) -> None:
        """Copy the files of a table, index its positions and put its rows in the order of the index."""
        columns = [column.name for column in snapshot.table.columns]
        schema = pq.read_schema(snapshot.partitions[0].path)
        kinds = ", ".join(f'"{name}" {_TYPES.get(schema.field(name).type, "text")}' for name in columns)
        self._run(f"CREATE TABLE {table} ({kinds})")
        self._copy(table, (pq.read_table(part.path, columns=columns) for part in snapshot.partitions))
        self._run(f"CREATE INDEX {table}_q3c ON {table} (q3c_ang2ipix(ra, dec))")
        self._run(f"CLUSTER {table} USING {table}_q3c")
        self._run(f"ANALYZE {table}")

    @contextmanager
    def holding(self, name: str, rows: pa.Table, columns: Mapping[str, str]) -> Iterator[None]:
        """A temporary table of rows, with the types of its columns, gone at the end."""
        self._run(f"CREATE TEMPORARY TABLE {name} ({', '.join(map(' '.join, columns.items()))})")
        try:
            self._copy(name, [rows])
            self._run(f"ANALYZE {name}")
            yield
        finally:
            self._run(f"DROP TABLE {name}")

    def _copy(self, table: str, pieces: Iterable[pa.Table]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as copy:
            for piece in pieces:
                copy.write(_csv(piece))

    def _run(self, sql: str) -> None:
        self.connection.execute(sql.encode())


def _csv(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(rows, sink, pyarrow.csv.WriteOptions(include_header=False))
    return sink.getvalue()


@contextmanager
def running_rival() -> Iterator[Postgres]:
    """PostgreSQL on a Unix socket in a temporary folder, with q3c; gone at the end.

    Raises
    ------
    RuntimeError
        If PostgreSQL or q3c is not installed.
    """
    folder = binaries()
    if folder is None:
        raise RuntimeError("PostgreSQL is not installed: run tools/system-packages.sh q3c")
    with (
        running_postgres(folder, _SETTINGS) as server,
        psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection,
    ):
        try:
            connection.execute("CREATE EXTENSION q3c")
        except psycopg.Error as error:
            raise RuntimeError("q3c is not installed: run tools/system-packages.sh q3c") from error
        release = ".".join(map(str, divmod(connection.info.server_version, 10_000)))
        yield Postgres(connection, f"PostgreSQL {release}")
