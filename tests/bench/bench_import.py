"""Ten million rows imported by us and by `hats-import` in one run: seconds, and memory of all processes together."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bench.figures import ROOT, Figure, save
from bench.importers import write_sky
from pachon.releases.hats.reader import HatsCatalogue

_ROWS = 10_000_000
_TARGET_S = 30
_TARGET_BYTES = 3e9
_SAMPLE_S = 0.05
_PATHS = ("platform/src/pachon/releases/hats", "platform/src/pachon/releases/importing")


@dataclass(frozen=True)
class Measured:
    """What an import took, and how many processes of the whole machine wanted a core, averaged over its last minute."""

    seconds: float
    peak_bytes: int
    load: float


def _measure(which: str, file: Path, folder: Path) -> Measured:
    """Run an importer and watch the memory of its process and of all that it starts."""
    command = [sys.executable, "-m", "bench.importers", which, str(file), str(folder)]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        peak_bytes = 0
        while running.poll() is None:
            peak_bytes = max(peak_bytes, _memory_bytes(psutil.Process(running.pid)))
            time.sleep(_SAMPLE_S)
        assert running.returncode == 0
    return Measured(time.perf_counter() - start, peak_bytes, os.getloadavg()[0])


def _memory_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and its descendants; one that has just ended counts nothing."""
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


@pytest.mark.timeout(1_800)
def test_ten_million_rows_are_imported_in_half_a_minute(tmp_path: Path) -> None:
    file = tmp_path / "objects.parquet"
    write_sky(file, _ROWS)
    ours = _measure("ours", file, tmp_path / "ours")
    theirs = _measure("theirs", file, tmp_path / "theirs")
    assert HatsCatalogue(tmp_path / "ours").row_count == _ROWS
    assert HatsCatalogue(tmp_path / "theirs" / "objects").row_count == _ROWS
    note = (
        f"{_ROWS / ours.seconds:,.0f} rows/s from Parquet with all checks; hats-import in the same run, two workers: "
        f"{theirs.seconds:.0f} s, {theirs.peak_bytes / 1e9:.1f} GB; load of the machine meanwhile: "
        f"{ours.load:.1f} and {theirs.load:.1f}"
    )
    figures = [
        Figure(
            name="import of 10 M rows x 9 columns",
            value=round(ours.seconds, 1),
            unit="s",
            target=f"< {_TARGET_S}",
            passed=ours.seconds < _TARGET_S,
            paths=_PATHS,
            note=note,
        ),
        Figure(
            name="import of 10 M rows x 9 columns, memory",
            value=round(ours.peak_bytes / 1e9, 2),
            unit="GB",
            target=f"< {_TARGET_BYTES / 1e9:.0f}",
            passed=ours.peak_bytes < _TARGET_BYTES,
            paths=_PATHS,
            note="peak of the resident memory, summed over all processes",
        ),
    ]
    save(figures)
    assert all(figure.passed for figure in figures), note
