"""Keeps figures of `make bench-tap` as JSON and as one Markdown table, with the bar each must hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.figures import TAP_STORE, Figure, load, save
from bench.timing import median_ms, p95_ms

ANSWERS = (
    "platform/src/pachon/queries",
    "platform/src/pachon/tap",
    "platform/src/pachon/vo",
    "platform/src/pachon/app/middleware.py",
    "platform/src/pachon/releases/hats",
)
_PAGE = TAP_STORE.with_suffix(".md")
_RATIO, _FIXED_MS = 1.3, 6.0
_HEAD = """# Catalogue queries, measured

`make bench-tap` measures and writes this page, and the same figures to `bench-tap.json`. Ours is the whole way: ADQL
over HTTP to the last byte of the answer. *Raw* is DuckDB in the measuring process, with the threads of one query
worker, on files picked as ours are, fetching the same rows. PostgreSQL is Debian's, with q3c, its tables clustered by
position. Candidates take turns within one run, so that ratios hold on a busy machine too. Times are medians, in
brackets the 95th percentile.

| what | measured | bar | | ours, ms | raw, ms | PostgreSQL, ms | when, where |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Trial:
    """Median and 95th percentile of each candidate, ms."""

    times_ms: Mapping[str, tuple[float, float]]

    @classmethod
    def from_seconds(cls, seconds: Mapping[str, list[float]]) -> Trial:
        """Of what `interleaved` gave."""
        return cls({name: (median_ms(each), p95_ms(each)) for name, each in seconds.items()})

    def median(self, name: str) -> float:
        """Median of a candidate, ms."""
        return self.times_ms[name][0]


def keep_beside_raw(name: str, trial: Trial, *, paths: tuple[str, ...], note: str) -> None:
    """Keep the time of ours; it may be 1.3 times that of raw DuckDB, and 6 ms."""
    ours, raw = trial.median("ours"), trial.median("raw")
    bar = _RATIO * raw + _FIXED_MS
    figure = Figure(
        name=name,
        value=round(ours, 1),
        unit="ms",
        target=f"<= {_RATIO} x raw + {_FIXED_MS:g} = {bar:.1f}",
        passed=ours <= bar,
        paths=paths,
        note=note,
        times_ms=trial.times_ms,
    )
    keep([figure])


def keep_factor(name: str, trial: Trial, *, least: float, paths: tuple[str, ...], note: str) -> None:
    """Keep how many times faster than PostgreSQL ours is."""
    factor = trial.median("postgres") / trial.median("ours")
    figure = Figure(
        name=name,
        value=round(factor, 1),
        unit="x",
        target=f">= {least:g}",
        passed=factor >= least,
        paths=paths,
        note=note,
        times_ms=trial.times_ms,
    )
    keep([figure])


def keep_unanswered(name: str, reason: str, *, paths: tuple[str, ...]) -> None:
    """Keep that the service refused: a bar that is not reached, without a time."""
    figure = Figure(
        name=name, value=0, unit="answers", target="answered", passed=False, paths=paths, note=f"refused: {reason}"
    )
    keep([figure])


def keep(figures: Iterable[Figure]) -> None:
    """Keep figures, write the page anew, and fail if a bar was missed."""
    figures = list(figures)
    save(figures, TAP_STORE)
    _PAGE.write_text(_HEAD + "".join(f"{line}\n" for line in _lines(load(TAP_STORE))))
    assert [figure.name for figure in figures if not figure.passed] == []


def _lines(stored: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, figure in stored.items():
        times = figure["times_ms"]
        cells = (
            f"{name}. {figure['note']}",
            f"{figure['value']:.4g} {figure['unit']}",
            figure["target"],
            "held" if figure["passed"] else "**failed**",
            *(_times(times.get(candidate)) for candidate in ("ours", "raw", "postgres")),
            f"{figure['date']}, commit `{figure['commit']}`, {figure['machine']}, load {figure['load']}",
        )
        yield f"| {' | '.join(cells)} |"


def _times(pair: list[float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.3g} ({pair[1]:.3g})"
