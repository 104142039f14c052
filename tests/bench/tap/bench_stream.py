"""A million rows of nine columns as BINARY2: the time beside the bare encoder's, and the memory of all processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bench_formats import bare_numpy, drain
from bench.figures import Figure
from bench.tap.conftest import Arena
from bench.tap.record import ANSWERS, Trial, keep
from bench.tap.server import running_api, watching
from bench.timing import interleaved
from pachon.vo import formats

_ROWS = 1_000_000
_ROUNDS = 7
_MOST_RATIO = 1.5
_MOST_MB = 300
_ADQL = f"SELECT TOP {_ROWS} * FROM sky.objects"
_SETTLE_ROUNDS = 6

pytestmark = [
    pytest.mark.stack,
    pytest.mark.catalogues,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning"),
]


def test_a_million_rows_take_little_longer_than_reading_and_encoding_them(arena: Arena) -> None:
    columns = ", ".join(column.name for column in arena.raw.snapshot("sky.objects").table.columns)
    raw_sql = f"SELECT {columns} FROM {arena.raw.files('sky.objects')} LIMIT {_ROWS}"
    held = arena.raw.fetch(raw_sql).to_batches()
    candidates = {
        "ours": lambda _: arena.client.tap(_ADQL, MAXREC=_ROWS),
        "raw": lambda _: arena.raw.fetch(raw_sql),
        "writer": lambda _: drain(formats.FORMATS[0], held),
        "encoder": lambda _: bare_numpy(held),
    }
    size_bytes = arena.client.tap(_ADQL, MAXREC=_ROWS)
    trial = Trial.from_seconds(interleaved(candidates, rounds=_ROUNDS))
    encoder_ms = trial.median("encoder")
    note = (
        f"{size_bytes / 1e6:.0f} MB; the writer alone {trial.median('writer'):.0f} ms, the encoder {encoder_ms:.0f} ms"
    )
    keep(
        [
            _ratio(
                "BINARY2 writer to the bare numpy encoder on the same Arrow",
                trial.median("writer") / encoder_ms,
                trial,
                note=note,
            ),
            _ratio(
                "1 M rows as BINARY2, end to end, to raw DuckDB and the encoder one after the other",
                trial.median("ours") / (trial.median("raw") + encoder_ms),
                trial,
                note=note,
            ),
        ]
    )


def _ratio(name: str, ratio: float, trial: Trial, *, note: str) -> Figure:
    return Figure(
        name=name,
        value=round(ratio, 2),
        unit="x",
        target=f"<= {_MOST_RATIO}",
        passed=ratio <= _MOST_RATIO,
        paths=ANSWERS,
        note=f"1 M rows x 9 columns; {note}",
        times_ms=trial.times_ms,
    )


def test_a_million_rows_are_held_nowhere(releases: Path, tmp_path: Path) -> None:
    with running_api(tmp_path / "home", releases) as api, api.client() as client:
        for _ in range(_SETTLE_ROUNDS):
            client.tap("SELECT TOP 1 * FROM sky.objects")
        idle_bytes = api.memory_bytes()
        with watching(api) as peak:
            client.tap(_ADQL, MAXREC=_ROWS)
    above_mb = (peak.bytes - idle_bytes) / 1e6
    figure = Figure(
        name="1 M rows x 9 columns as BINARY2, memory",
        value=round(above_mb),
        unit="MB",
        target=f"< {_MOST_MB}",
        passed=above_mb < _MOST_MB,
        paths=ANSWERS,
        note=f"peak of API and workers together above idle ({idle_bytes / 1e6:.0f} MB, shared pages counted once); "
        f"first large answer of a new process",
    )
    keep([figure])
