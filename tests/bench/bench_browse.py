"""A million rows browsed in a notebook's kernel: the first pictures, and a redraw after a move or a zoom."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pyarrow as pa

from bench.figures import Figure, save
from bench.timing import median_ms, p95_ms
from pachon_client import Column, Result
from pachon_client.browsing.messages import answer
from pachon_client.browsing.model import PLOT, SKY, Browsing

_ROWS, _REDRAWS = 1_000_000, 60
_SIZE = [700, 400]
_PATHS = ("extensions/pachon-client/src/pachon_client/browsing",)


def test_a_million_rows_are_seen_within_two_seconds_and_redrawn_within_150_ms() -> None:
    rows = _rows()
    start, start_cpu = time.perf_counter(), time.thread_time()
    browsing = Browsing(rows)
    planes = _ask(browsing, kind="start")["planes"]
    for name, plane in planes.items():
        _draw(browsing, name, plane["home"])
    _ask(browsing, kind="table", first=0, count=10)
    first_s, first_cpu_s = time.perf_counter() - start, time.thread_time() - start_cpu
    loading = time.perf_counter()
    browsing.painter.load()
    loaded_s = time.perf_counter() - loading
    _ask(browsing, kind="select", plane=SKY, shape="box", window=[-1.0, 1.0, -1.0, 1.0], mode="new")
    times = [_redraw(browsing, planes, seed) for seed in range(_REDRAWS + 4)][4:]
    seconds, cpu = ([each[part] for each in times] for part in (0, 1))
    load = f"load {os.getloadavg()[0]:.0f}"
    note = f"two pictures of {_SIZE[0]} x {_SIZE[1]} and a page of the table; {first_cpu_s:.2f} s of CPU; {load}"
    loaded = f"Datashader is loaded after them, in {loaded_s:.1f} s"
    told = f"median {median_ms(seconds):.0f} ms; of CPU {median_ms(cpu):.0f} ms, p95 {p95_ms(cpu):.0f} ms"
    median = f"half of the rows selected; {told}; {load}"
    figures = [
        _figure("browse: first paint of 1 M rows, kernel", round(first_s, 2), "s", 2, f"{note}; {loaded}"),
        _figure("browse: redraw of 1 M rows, kernel, p95", round(p95_ms(seconds), 1), "ms", 150, median),
    ]
    save(figures)
    assert all(figure.passed for figure in figures), [str(figure) for figure in figures]


def _rows() -> Result:
    random = np.random.default_rng(7)
    g_mag = random.normal(20, 1.5, _ROWS)
    table = pa.table(
        {
            "id": np.arange(_ROWS) + 2**60,
            "ra": random.normal(0, 1.5, _ROWS) % 360,
            "dec": random.normal(-30, 1.5, _ROWS),
            "g_mag": g_mag,
            "r_mag": g_mag - random.normal(0.6, 0.3, _ROWS),
        }
    )
    ucds = {"id": "meta.id;meta.main", "g_mag": "phot.mag", "r_mag": "phot.mag"}
    return Result(table=table, columns=tuple(Column(name=name, ucd=ucds.get(name)) for name in table.column_names))


def _redraw(browsing: Browsing, planes: dict[str, Any], seed: int) -> tuple[float, float]:
    """Seconds, and those of CPU, for a new window of one plane, somewhere and of some size."""
    random = np.random.default_rng(seed)
    name = (SKY, PLOT)[seed % 2]
    left, right, low, high = planes[name]["home"]
    part = 2.0 ** -random.uniform(0, 5)
    x, y = random.uniform(left, right - (right - left) * part), random.uniform(low, high - (high - low) * part)
    start, start_cpu = time.perf_counter(), time.thread_time()
    _draw(browsing, name, [x, x + (right - left) * part, y, y + (high - low) * part])
    return time.perf_counter() - start, time.thread_time() - start_cpu


def _draw(browsing: Browsing, name: str, window: list[float]) -> None:
    _ask(browsing, kind="draw", plane=name, window=window, size=_SIZE)


def _ask(browsing: Browsing, **message: Any) -> dict[str, Any]:
    ((told, _),) = answer(browsing, message)
    assert told["kind"] != "said", told
    return told


def _figure(name: str, value: float, unit: str, limit: float, note: str) -> Figure:
    passed = value < limit
    return Figure(name=name, value=value, unit=unit, target=f"< {limit:g}", passed=passed, paths=_PATHS, note=note)
