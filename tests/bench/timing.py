"""Timing: alternate the candidates in one run, so that a busy machine slows them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each call, candidates taking turns; the round's number is passed to each.

    With `time.process_time` as clock, what else the machine does counts for less; waiting then counts for nothing.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, candidate in candidates.items():
            start = clock()
            candidate(number)
            seconds[name].append(clock() - start)
    return seconds


def median_ms(seconds: list[float]) -> float:
    """Median in milliseconds."""
    return 1000 * statistics.median(seconds)


def p95_ms(seconds: list[float]) -> float:
    """95th percentile in milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=20)[-1]
