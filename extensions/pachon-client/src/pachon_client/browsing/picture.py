"""Pictures of rows on a plane: how many a pixel holds, as one of 256 shades; the browser gives them their colours."""

from __future__ import annotations

import importlib
import math
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pachon_client.browsing.planes import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

SELECTED = 128
"""The first shade of selected rows; shade 0 is of pixels without rows."""
_SHADES = 127
_LOAD_AFTER_S = 1.5
_FEW, _SOME = 2_000, 20_000

Size = tuple[int, int]


class Layer:
    """Points that are drawn again and again.

    Parameters
    ----------
    x, y
        Plane coordinates, shape (points,) each; those that are not finite are nowhere.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self.x, self.y = x, y

    @cached_property
    def frame(self) -> Any:  # noqa: ANN401 -- pandas comes with Datashader
        """The same as a DataFrame with `x` and `y`."""
        return importlib.import_module("pandas").DataFrame({"x": self.x, "y": self.y}, copy=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a window shows.

    Parameters
    ----------
    shades
        Shape (height, width), uint8, highest row first.
    row_count, selected_count
        Rows in the window, and how many of them are selected.
    """

    shades: NDArray[np.uint8]
    row_count: int
    selected_count: int


class Painter:
    """Counts points by Datashader once that is loaded, which takes seconds; until then numpy does, more slowly."""

    def __init__(self) -> None:
        self._datashader: Any = None
        self._loading: threading.Timer | None = None

    def load_soon(self) -> None:
        """Load Datashader in the background, a moment after the first pictures, which it would hold up."""
        if self._loading is None:
            self._loading = threading.Timer(_LOAD_AFTER_S, self.load)
            self._loading.daemon = True
            self._loading.start()

    def load(self) -> None:
        """Load Datashader and compile its loop."""
        datashader = importlib.import_module("datashader")
        one = Layer(np.zeros(1), np.zeros(1))
        _by_datashader(datashader, one, Window((-1, 1), (-1, 1)), size=(2, 2))
        self._datashader = datashader

    def paint(self, every: Layer, selected: Layer, window: Window, *, size: Size) -> Picture:
        """Draw all rows, and the selected ones above them.

        Parameters
        ----------
        size
            Width and height, pixels.
        """
        counts, marked = self.counts(every, window, size=size), self.counts(selected, window, size=size)
        shades, marks = _shaded(counts), _shaded(marked)
        shades = np.where(marks > 0, marks + np.uint8(SELECTED), shades)
        return Picture(np.ascontiguousarray(shades[::-1]), int(counts.sum()), int(marked.sum()))

    def counts(self, layer: Layer, window: Window, *, size: Size) -> NDArray[np.int64]:
        """Points per pixel, lowest row first; shape (height, width)."""
        if self._datashader is None:
            return _counted(layer, window, size=size)
        return _by_datashader(self._datashader, layer, window, size=size)


def _by_datashader(datashader: Any, layer: Layer, window: Window, *, size: Size) -> NDArray[np.int64]:  # noqa: ANN401
    canvas = datashader.Canvas(*size, x_range=window.x_range, y_range=window.y_range)
    counts = canvas.points(layer.frame, "x", "y", agg=datashader.count())
    return np.asarray(counts.to_numpy(), dtype=np.int64)


def _counted(layer: Layer, window: Window, *, size: Size) -> NDArray[np.int64]:
    (left, right), (low, high), (width, height) = window.x_range, window.y_range, size
    near = (layer.x >= left) & (layer.x <= right) & (layer.y >= low) & (layer.y <= high)
    across = np.minimum((layer.x[near] - left) * (width / (right - left)), width - 1).astype(np.int64)
    up = np.minimum((layer.y[near] - low) * (height / (high - low)), height - 1).astype(np.int64)
    return np.bincount(up * width + across, minlength=width * height).reshape(height, width)


def _shaded(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Shades 1 to 127 by the logarithm of the counts; the fewer points there are, the larger each is drawn."""
    most = int(counts.max(initial=0))
    if most == 0:
        return np.zeros(counts.shape, dtype=np.uint8)
    steps = np.log1p(counts.astype(np.float32)) * (_SHADES / math.log1p(most))
    shades = np.ceil(np.minimum(steps, _SHADES)).astype(np.uint8)
    total = int(counts.sum())
    for _ in range(2 if total <= _FEW else 1 if total <= _SOME else 0):
        shades = _spread(shades)
    return shades


def _spread(shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pixel as bright as its brightest neighbour above, below and at the sides."""
    spread = shades.copy()
    np.maximum(spread[1:], shades[:-1], out=spread[1:])
    np.maximum(spread[:-1], shades[1:], out=spread[:-1])
    np.maximum(spread[:, 1:], shades[:, :-1], out=spread[:, 1:])
    np.maximum(spread[:, :-1], shades[:, 1:], out=spread[:, :-1])
    return spread
