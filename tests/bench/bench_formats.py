"""A million rows of nine columns in every format, beside the barest encoder that numpy allows and a loop in Python."""

from __future__ import annotations

import binascii
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.figures import ROOT, Figure, save
from bench.timing import interleaved, median_ms
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.vo import formats
from pachon.vo.formats import Format
from pachon.vo.models import Heading
from support.rows import HeldRows

_ROWS = 1_000_000
_ROWS_PER_BATCH = 65_536
_ROUNDS = 5
_PATHS = ("platform/src/pachon/vo",)
_FIELDS = (
    Field(name="id", datatype=DataType.LONG),
    Field(name="ra", datatype=DataType.DOUBLE),
    Field(name="dec", datatype=DataType.DOUBLE),
    *(Field(name=f"mag_{band}", datatype=DataType.FLOAT) for band in "ugrizy"),
)
_PACKED = np.dtype([("flags", "u1", 2), ("id", ">i8"), ("ra", ">f8"), ("dec", ">f8"), *((b, ">f4") for b in "ugrizy")])


def batches() -> Iterator[pa.RecordBatch]:
    """A million rows, made as they are taken."""
    random = np.random.default_rng(20261125)
    schema = arrow_schema(_FIELDS)
    for start in range(0, _ROWS, _ROWS_PER_BATCH):
        ids = np.arange(start, min(start + _ROWS_PER_BATCH, _ROWS)) + 2**53
        places = (random.uniform(0, 360, len(ids)), random.uniform(-90, 90, len(ids)))
        mags = random.normal(22, 2, (6, len(ids))).astype(np.float32)
        yield pa.record_batch([pa.array(values) for values in (ids, *places, *mags)], schema=schema)


def drain(form: Format, held: list[pa.RecordBatch]) -> int:
    return sum(len(chunk) for chunk in form.write(HeldRows(_FIELDS, held), Heading()))


def bare_numpy(held: list[pa.RecordBatch]) -> int:
    size_bytes = 0
    for batch in held:
        packed = np.zeros(batch.num_rows, _PACKED)
        for name, column in zip(_PACKED.names[1:], batch.columns, strict=True):
            packed[name] = column.to_numpy()
        size_bytes += len(binascii.b2a_base64(packed.tobytes(), newline=False))
    return size_bytes


def python_loop(held: list[pa.RecordBatch]) -> int:
    size_bytes = 0
    for batch in held:
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        lines = ("<TR><TD>" + "</TD><TD>".join(map(repr, row)) + "</TD></TR>\n" for row in rows)
        size_bytes += len("".join(lines).encode())
    return size_bytes


def test_writers_cost_little_more_than_they_must() -> None:
    held = list(batches())
    candidates = {form.names[0]: lambda _, form=form: drain(form, held) for form in formats.FORMATS}
    candidates |= {"bare": lambda _: bare_numpy(held), "loop": lambda _: python_loop(held)}
    seconds = interleaved(candidates, rounds=_ROUNDS, clock=time.process_time)
    took_ms = {name: median_ms(values) for name, values in seconds.items()}
    to_bare = took_ms["votable"] / took_ms["bare"]
    to_loop = took_ms["loop"] / took_ms["votable/td"]
    note = f"1 M rows x 9 columns, median of {_ROUNDS}, CPU time; bare numpy encoder {took_ms['bare']:.0f} ms"
    figures = [
        _figure("BINARY2 to the bare numpy encoder", to_bare, "x", target="<= 1.5", passed=to_bare <= 1.5, note=note),
        _figure("TABLEDATA to a Python loop", to_loop, "x faster", target=">= 3", passed=to_loop >= 3, note=note),
        *(
            _figure(f"1 M rows as {form.names[0]}", took_ms[form.names[0]], "ms", target="", passed=True, note=note)
            for form in formats.FORMATS
        ),
    ]
    save(figures)
    assert all(figure.passed for figure in figures), took_ms


def test_no_writer_holds_its_rows() -> None:
    peaks_mb = {form.names[0]: _peak_of_a_fresh_process(number) for number, form in enumerate(formats.FORMATS)}
    figures = [
        _figure(f"memory for {name}", peak, "MB", target="< 300", passed=peak < 300, note="1 M rows, peak above idle")
        for name, peak in peaks_mb.items()
    ]
    save(figures)
    assert all(figure.passed for figure in figures), peaks_mb


def _peak_of_a_fresh_process(number: int) -> float:
    code = f"from bench import bench_formats; print(bench_formats.peak_mb({number}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return float(done.stdout)


def peak_mb(number: int) -> float:
    """Peak of this process above its start while it writes a million rows, MB."""
    rows = HeldRows(_FIELDS, [])
    rows.batches = batches()
    before = _memory_mb("VmRSS")
    for chunk in formats.FORMATS[number].write(rows, Heading()):
        assert chunk is not None
    return _memory_mb("VmHWM") - before


def _memory_mb(line: str) -> float:
    found = re.search(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


def _figure(name: str, value: float, unit: str, *, target: str, passed: bool, note: str) -> Figure:
    target = target or "beside the others"
    return Figure(name=name, value=round(value, 2), unit=unit, target=target, passed=passed, paths=_PATHS, note=note)
