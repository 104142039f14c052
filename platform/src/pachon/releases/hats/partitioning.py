"""How a catalogue is cut into partitions: the coarsest pixels that hold no more than so many rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from pachon.core.healpix import SPATIAL_INDEX_ORDER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Pixel(NamedTuple):
    """A HEALPix pixel (nested) and how many rows lie in it."""

    order: int
    pixel: int
    row_count: int

    @property
    def span(self) -> tuple[int, int]:
        """The half-open range of order 29 indices in it."""
        shift = 2 * (SPATIAL_INDEX_ORDER - self.order)
        return self.pixel << shift, (self.pixel + 1) << shift


def choose_partitions(
    counts: NDArray[np.int64], *, max_rows: int, finer: Callable[[Pixel], NDArray[np.int64]] | None = None
) -> tuple[Pixel, ...]:
    """Cut the sphere into pixels that together hold every row once.

    Parameters
    ----------
    counts
        Rows per nested pixel at some order, shape (12 * 4**order,).
    max_rows
        A pixel with more rows than this is split into its four children.
    finer
        Counts the rows of a pixel of that order by its children so and so many orders below, shape (4**orders,): asked
        for those that hold too many. A pixel that cannot be looked into is never split, whatever it holds.

    Returns
    -------
    tuple of Pixel
        Non-empty, sorted by place on the sky.
    """
    coarse = [
        pixel for base, held in enumerate(counts.reshape(12, -1)) for pixel in _cut(Pixel(0, base, 0), held, max_rows)
    ]
    if finer is None:
        return tuple(coarse)
    return tuple(
        part
        for pixel in coarse
        for part in (_cut(pixel, finer(pixel), max_rows) if pixel.row_count > max_rows else (pixel,))
    )


def _cut(pixel: Pixel, counts: NDArray[np.int64], max_rows: int) -> Iterator[Pixel]:
    """The parts of a pixel, whose descendants at one order hold `counts` rows."""
    row_count = int(counts.sum())
    if row_count and (row_count <= max_rows or counts.size == 1):
        yield pixel._replace(row_count=row_count)
    elif row_count:
        for child, held in enumerate(counts.reshape(4, -1)):
            yield from _cut(Pixel(pixel.order + 1, 4 * pixel.pixel + child, 0), held, max_rows)
