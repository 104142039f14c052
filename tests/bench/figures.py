"""Figures: what a benchmark measured, on which machine, at which commit; and whether they still hold.

`docs/reference/benchmarks.json` keeps the newest figure of each name, `bench-tap.json` beside it those of
`make bench-tap`. A figure is *stale* when its capability's files have changed since the commit at which it was
measured.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "docs" / "reference" / "benchmarks.json"
TAP_STORE = STORE.with_name("bench-tap.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number: `passed` compares it with its target, `paths` are the files it depends on.

    `times_ms` are median and 95th percentile of each candidate that took part.
    """

    name: str
    value: float
    unit: str
    target: str
    passed: bool
    paths: tuple[str, ...]
    note: str = ""
    times_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Bar, figure and verdict in one line."""
        times = ", ".join(f"{name} {median:.1f} ({p95:.1f})" for name, (median, p95) in self.times_ms.items())
        verdict = "held" if self.passed else "FAILED"
        about = "; ".join(filter(None, (times and f"{times} ms", self.note)))
        return f"{verdict}: {self.name}: {self.value:g} {self.unit} (bar {self.target}); {about}"


def save(figures: Iterable[Figure], store: Path = STORE) -> None:
    """Add figures to a store, each replacing the one of the same name, and print them."""
    stored = load(store)
    for figure in figures:
        commit = _git("rev-parse", "--short", "HEAD")
        if _git("status", "--porcelain", "--", *figure.paths):
            commit += "+dirty"  # no commit holds what was measured: stale from the start
        date = f"{datetime.now(tz=UTC):%Y-%m-%d}"
        about = {"commit": commit, "date": date, "machine": machine(), "load": round(os.getloadavg()[0], 1)}
        stored[figure.name] = {**asdict(figure), **about}
        sys.stdout.write(f"{figure}\n")
    store.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n")


def load(store: Path = STORE) -> dict[str, dict[str, object]]:
    """The stored figures by name."""
    return dict(json.loads(store.read_text())) if store.exists() else {}


def machine() -> str:
    """The machine in one line: cores, memory, Python; no names."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def stale() -> list[str]:
    """Names of figures older than the last change of their capability."""
    stored = load() | load(TAP_STORE)
    return [name for name, figure in stored.items() if _changed_since(str(figure["commit"]), figure["paths"])]


def _changed_since(commit: str, paths: object) -> bool:
    listed = [str(path) for path in paths] if isinstance(paths, list) else []
    known = (
        subprocess.run(["git", "cat-file", "-e", commit], cwd=ROOT, capture_output=True, check=False).returncode == 0
    )
    return not known or bool(_git("log", "--oneline", f"{commit}..HEAD", "--", *listed))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    for figure_name in stale():
        sys.stdout.write(
            f"warning: the figure '{figure_name}' is older than the last change of its capability; run make bench\n"
        )
