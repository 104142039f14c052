"""Colours: the ramps of the map and of density plots, and colours that follow the person's light or dark scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SKY = ("#0b1230", "#1b2560", "#453b86", "#7d4a93", "#b85f8a", "#e8826f", "#f8b568", "#fde3a7", "#fffdf4")
_EMPTY_SKY = "#080d22"
_CLEAR = "rgba(0, 0, 0, 0)"


@dataclass(frozen=True, slots=True)
class Scheme:
    """Colours of one scheme, the values of the brand's tokens."""

    text: str
    muted: str
    grid: str
    surface: str
    first: str
    second: str
    density: tuple[str, ...]


def ramp(stops: Sequence[str], size: int) -> tuple[str, ...]:
    """`size` colours that run evenly through `stops` (`#rrggbb`)."""
    points = [tuple(int(stop[at : at + 2], 16) for at in (1, 3, 5)) for stop in stops]
    spans = list(pairwise(points))
    colours = []
    for index in range(size):
        place = index / max(1, size - 1) * len(spans)
        span = min(int(place), len(spans) - 1)
        start, end = spans[span]
        colours.append(
            "#" + "".join(f"{round(a + (b - a) * (place - span)):02x}" for a, b in zip(start, end, strict=True))
        )
    return tuple(colours)


SKY_LEVELS = ramp(_SKY, 254)
SKY_PALETTE = (_CLEAR, _EMPTY_SKY, *SKY_LEVELS)
OVERLAY_PALETTE = (_CLEAR, *("#5fe3d0" + f"{110 + round(145 * level / 254):02x}" for level in range(255)))
OVERLAY = "#5fe3d0"
SELECTED = "#ff9f43"

LIGHT = Scheme(
    text="#141a2e",
    muted="#4a5470",
    grid="#e3e8f2",
    surface="#ffffff",
    first="#3449bd",
    second="#c2560a",
    density=(_CLEAR, *ramp(("#c9d2fb", "#7f90e6", "#3449bd", "#1b2670"), 255)),
)
DARK = Scheme(
    text="#e7ebf8",
    muted="#a6b1d1",
    grid="#222c50",
    surface="#111830",
    first="#9db0ff",
    second="#f6a04d",
    density=(_CLEAR, *ramp(("#2b3872", "#5a6fd0", "#9db0ff", "#f3f5ff"), 255)),
)


def highlight(scheme: Scheme) -> tuple[str, ...]:
    """Ramp of the selected points over a density plot."""
    return (_CLEAR, *(scheme.second + f"{130 + round(125 * level / 254):02x}" for level in range(255)))
