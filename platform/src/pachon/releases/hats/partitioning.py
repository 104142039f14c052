"""How a catalogue is cut into partitions: the coarsest pixels that hold no more than so many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Pixel(NamedTuple):
    """A HEALPix pixel (nested) and how many rows lie in it."""

    order: int
    pixel: int
    row_count: int


def choose_partitions(counts: NDArray[np.int64], *, order: int, max_rows: int) -> tuple[Pixel, ...]:
    """Cut the sphere into pixels that together hold every row once.

    Parameters
    ----------
    counts
        Rows per nested pixel at `order`, shape (12 * 4**order,).
    order
        Order of `counts`, and the finest order of a partition: a pixel of that order is never split, whatever it holds.
    max_rows
        A pixel with more rows than this is split into its four children.

    Returns
    -------
    tuple of Pixel
        Non-empty, sorted by place on the sky.
    """
    chosen: list[Pixel] = []
    open_pixels = np.arange(12, dtype=np.int64)
    for level in range(order + 1):
        held = counts.reshape(12 << (2 * level), -1).sum(axis=1)[open_pixels]
        is_leaf = (held <= max_rows) | (level == order)
        leaves = is_leaf & (held > 0)
        chosen += [
            Pixel(level, int(pixel), int(rows)) for pixel, rows in zip(open_pixels[leaves], held[leaves], strict=True)
        ]
        open_pixels = (open_pixels[~is_leaf, np.newaxis] * 4 + np.arange(4)).ravel()
    return tuple(sorted(chosen, key=lambda pixel: pixel.pixel << (2 * (order - pixel.order))))
