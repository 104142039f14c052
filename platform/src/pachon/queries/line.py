"""Arithmetic and words of waiting in line."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

_MINUTES_FROM_S = 100
_HOURS_FROM_S = 6_000
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True, slots=True)
class Wait:
    """What somebody would meet now: their place in line, 0 if there is none, and the expected time to their turn."""

    position: int = 0
    seconds: float = 0.0


def remaining_s(expected_s: float, elapsed_s: float) -> float:
    """How long something will still run; what has outlasted its estimate is taken to last half as long again."""
    return max(expected_s - elapsed_s, elapsed_s / 2)


def expected_wait_s(left_s: Iterable[float], ahead_s: Iterable[float], *, places: int) -> float:
    """When a place comes free for the last in line.

    Parameters
    ----------
    left_s
        How long each of those that run will still run.
    ahead_s
        How long each that comes before will run, in order.
    places
        How many run at once.
    """
    free_at = sorted(left_s)[-places:]
    free_at = [0.0] * (places - len(free_at)) + free_at
    heapq.heapify(free_at)
    for cost in ahead_s:
        heapq.heappush(free_at, heapq.heappop(free_at) + cost)
    return max(free_at[0], 0.0)


def spoken_s(seconds: float) -> str:
    """A time as people say it: `40 s`, `12 min`, `3 h`."""
    if seconds < _MINUTES_FROM_S:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < _HOURS_FROM_S else f"{seconds / 3_600:.0f} h"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    is_teen = number // 10 % 10 == 1
    return f"{number}{'th' if is_teen else _ENDINGS.get(number % 10, 'th')}"
