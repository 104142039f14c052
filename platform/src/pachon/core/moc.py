"""Coverage maps (MOC 2.0): sets of HEALPix cells as ranges of order 29 indices, and their text form.

Ranges are half-open, sorted and disjoint: shape (n, 2), rows of [start, stop).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pachon.core.errors import UsageError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count

Ranges = NDArray[np.int64]

_WHOLE_SKY = pixel_count(SPATIAL_INDEX_ORDER)
_WORD = re.compile(r"(?:(\d{1,2})/)?(?:(\d{1,19})(?:-(\d{1,19}))?)?\Z")
_MAX_RANGES = 100_000


def parse(text: str) -> Ranges:
    """The cells that a text names, as `4/30-33 38 52 7/324-934` (MOC 2.0, section 4.3.2).

    Raises
    ------
    UsageError
        Which word is none of it, and what is expected.
    """
    shift: int | None = None
    found: list[tuple[int, int]] = []
    for word in text.replace(",", " ").split():
        match = _WORD.match(word)
        if match is None:
            raise UsageError(f"'{word[:40]}' is no part of a MOC; it may be like '4/30-33 38 52 7/324-934'.")
        order, first, last = match.groups()
        if order is not None:
            shift = _shift(int(order))
        if first is None:
            continue
        if shift is None:
            raise UsageError(f"A MOC must begin with an order, as in '4/{first}'.")
        found.append(_cells(int(first), int(last or first), shift))
    if len(found) > _MAX_RANGES:
        raise UsageError(f"A MOC may have at most {_MAX_RANGES} ranges of cells, not {len(found)}.")
    return union([found])


def _shift(order: int) -> int:
    if order > SPATIAL_INDEX_ORDER:
        raise UsageError(f"The order of a MOC must be between 0 and {SPATIAL_INDEX_ORDER}, not {order}.")
    return 2 * (SPATIAL_INDEX_ORDER - order)


def _cells(first: int, last: int, shift: int) -> tuple[int, int]:
    count = _WHOLE_SKY >> shift
    if not first <= last < count:
        order = SPATIAL_INDEX_ORDER - shift // 2
        raise UsageError(f"The cells of a MOC of order {order} are numbered 0 to {count - 1}, not {first}-{last}.")
    return first << shift, (last + 1) << shift


def write(ranges: Ranges) -> str:
    """The text of a coverage, with the largest cells that make it up."""
    by_order: dict[int, list[str]] = {}
    rest = [(int(low), int(high)) for low, high in ranges]
    for order in range(SPATIAL_INDEX_ORDER + 1):
        shift = 2 * (SPATIAL_INDEX_ORDER - order)
        left: list[tuple[int, int]] = []
        for low, high in rest:
            first, stop = -(-low >> shift), high >> shift
            if first >= stop:
                left.append((low, high))
                continue
            by_order.setdefault(order, []).append(f"{first}-{stop - 1}" if stop - first > 1 else f"{first}")
            left += [pair for pair in ((low, first << shift), (stop << shift, high)) if pair[0] < pair[1]]
        rest = left
    return " ".join(f"{order}/{' '.join(words)}" for order, words in by_order.items())


def union(parts: Iterable[Ranges | Iterable[tuple[int, int]]]) -> Ranges:
    """What any of some sets of ranges, each in any order, holds."""
    pairs = [np.array(part, dtype=np.int64).reshape(-1, 2) for part in (list(each) for each in parts)]
    rows = np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if not len(rows):
        return rows
    reach = np.maximum.accumulate(rows[:, 1])
    starts = np.flatnonzero(np.concatenate([[True], rows[1:, 0] > reach[:-1]]))
    stops = np.concatenate([starts[1:], [len(rows)]]) - 1
    return np.stack([rows[starts, 0], reach[stops]], axis=1)


def complement(ranges: Ranges) -> Ranges:
    """The rest of the sky."""
    edges = np.concatenate([[0], ranges.ravel(), [_WHOLE_SKY]]).reshape(-1, 2)
    return np.asarray(edges[edges[:, 0] < edges[:, 1]], dtype=np.int64)


def intersection(first: Ranges, second: Ranges) -> Ranges:
    """What both hold."""
    return complement(union([complement(first), complement(second)]))


def degraded(ranges: Ranges, order: int) -> Ranges:
    """The cells of an order that hold any of it."""
    shift = 2 * (SPATIAL_INDEX_ORDER - order)
    return union([np.stack([ranges[:, 0] >> shift << shift, -(-ranges[:, 1] >> shift) << shift], axis=1)])


def holds(ranges: Ranges, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which order 29 indices it holds, shape of the input."""
    return np.asarray(np.searchsorted(ranges.ravel(), indices, side="right") % 2 == 1)


def area_deg2(ranges: Ranges) -> float:
    """Area in square degrees."""
    cells = sum(int(high) - int(low) for low, high in ranges)
    return 4 * np.pi * float(np.degrees(1)) ** 2 * (cells / _WHOLE_SKY)
