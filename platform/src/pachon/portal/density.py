"""From HEALPix counts to a picture: which piece of sky each screen pixel shows, and how bright it is.

The kernels are compiled once a machine (numba, cached) and hold no lock of the interpreter. Source of the numbering:
K. M. Gorski et al., ApJ 622 (2005) 759, nested scheme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from pachon.portal.projection import HALF_HEIGHT, HALF_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pachon.portal.projection import View

TILE_DEPTH = 8
MAX_TILE_ORDER = 12
OUTSIDE = 0
EMPTY = 1
_FIRST_LEVEL = 2
_LEVELS = 256 - _FIRST_LEVEL
_MAX_TILES = 512
_SPARSE, _DENSE = 0.3, 100.0
_TABLE_STEPS_PER_OCTAVE = 64
_TABLE_OCTAVES = 48
_SQUARE_DEGREES = 4 * math.pi * (180 / math.pi) ** 2


@dataclass(frozen=True, slots=True)
class Grid:
    """The HEALPix pixels that a view shows.

    Parameters
    ----------
    order
        Order of the pixels.
    tile_order
        Order of the tiles that hold their counts.
    pixels
        Nested pixel number of each screen pixel, shape (height, width), lowest row first; -1 outside the sky.
    tiles
        Nested numbers of the tiles in view.
    """

    order: int
    tile_order: int
    pixels: NDArray[np.int64]
    tiles: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Orders between the tiles and the pixels."""
        return self.order - self.tile_order


@dataclass(frozen=True, slots=True)
class Tile:
    """Counts of one tile, or of the smallest ancestor at hand.

    Parameters
    ----------
    counts
        Shape (4**8,), nested.
    missing_orders
        How many orders the tile is above the one wanted; 0 for the tile itself.
    """

    counts: NDArray[np.unsignedinteger]
    missing_orders: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A painted map.

    Parameters
    ----------
    image
        Palette index of each screen pixel, shape (height, width), uint8: `OUTSIDE`, `EMPTY`, then 254 levels.
    levels
        Rows per square degree at the lower edge of each of the 254 levels, rising.
    row_count, pixel_count
        Rows in the HEALPix pixels that were hit by a screen pixel, each counted once, and how many those are.
    is_complete
        Whether every tile was there.
    """

    image: NDArray[np.uint8]
    levels: NDArray[np.float64]
    row_count: float
    pixel_count: int
    is_complete: bool


def order_for(view: View) -> int:
    """The finest order whose pixels are not smaller than a pixel of the screen."""
    pixels_on_sky = 4 * math.pi / view.scale**2
    return max(3, min(MAX_TILE_ORDER + TILE_DEPTH, math.floor(0.5 * math.log2(pixels_on_sky / 12))))


def grid_of(view: View, *, order: int | None = None) -> Grid:
    """The pixels and tiles that a view shows."""
    order = order_for(view) if order is None else order
    tile_order = max(0, order - TILE_DEPTH)
    x0, y0 = view.x_range[0] + view.scale / 2, view.y_range[0] + view.scale / 2
    pixels, tiles = _pixels(
        x0, y0, view.scale, view.width, view.height, math.radians(view.ra0_deg), order, 2 * (order - tile_order)
    )
    return Grid(order, tile_order, pixels, tuple(int(tile) for tile in tiles))


def paint(grid: Grid, tiles: Mapping[int, Tile]) -> Picture:
    """Turn counts into a picture whose colours follow the ranks and magnitudes of the densities in view.

    Parameters
    ----------
    tiles
        The tiles of the grid that are at hand, by number; the others stay empty.
    """
    numbers = np.array(sorted(tiles), dtype=np.int64)
    shifts = np.array([2 * tiles[number].missing_orders for number in numbers], dtype=np.int64)
    stack = np.zeros((max(1, len(numbers)), 4**grid.depth), dtype=np.uint32)
    for row, number in zip(stack, numbers, strict=False):
        counts = tiles[number].counts
        row[:] = counts if counts.size == row.size else counts.reshape(row.size, -1).sum(axis=1)
    values, row_count, hit = _gather(grid.pixels, numbers, shifts, stack, 2 * grid.depth)
    mean = float(values.sum()) / max(1, int(np.count_nonzero(grid.pixels >= 0)))
    shown = _smoothed(values) if _SPARSE < mean < _DENSE else values
    edges = _level_edges(shown)
    image = _colour(shown, grid.pixels, _table(edges))
    per_pixel = float(12 * 4**grid.order)
    return Picture(
        image=image,
        levels=edges * per_pixel / _SQUARE_DEGREES,
        row_count=float(row_count),
        pixel_count=int(hit),
        is_complete=len(numbers) >= len(grid.tiles) and not shifts.any(),
    )


def rows_in_view(picture: Picture, grid: Grid, view: View) -> float:
    """An estimate of the rows in view, corrected for pixels cut off or missed: areas on the plane are solid angles."""
    shown_sr = int(np.count_nonzero(grid.pixels >= 0)) * view.scale**2
    pixel_sr = 4 * math.pi / (12 * 4**grid.order)
    return float(picture.row_count * shown_sr / pixel_sr / max(1, picture.pixel_count))


@numba.njit(cache=True, nogil=True)
def _smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Averaged over neighbours, weights 1-4-6-4-1: between single stars and crowds, counting noise hides shapes."""
    height, width = values.shape
    side, near, middle = np.float32(1 / 16), np.float32(4 / 16), np.float32(6 / 16)
    across, both = values.copy(), values.copy()
    for row in range(height):
        for at in range(2, width - 2):
            outer = values[row, at - 2] + values[row, at + 2]
            inner = values[row, at - 1] + values[row, at + 1]
            across[row, at] = side * outer + near * inner + middle * values[row, at]
    for row in range(2, height - 2):
        for at in range(width):
            outer = across[row - 2, at] + across[row + 2, at]
            inner = across[row - 1, at] + across[row + 1, at]
            both[row, at] = side * outer + near * inner + middle * across[row, at]
    return both


def _level_edges(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lower edges of the levels: halfway between equal ranks and equal steps in magnitude."""
    sample = values[:: max(1, values.shape[0] // 256), :: max(1, values.shape[1] // 256)]
    shown = np.log2(sample[sample > 0].astype(np.float64))
    if not shown.size:
        return np.geomspace(1, 2, _LEVELS)
    low, high = np.quantile(shown, (0.002, 0.999))
    high = max(high, low + 2)
    ranks = np.quantile(shown, np.linspace(0, 1, _LEVELS))
    even = np.linspace(low, high, _LEVELS)
    return np.asarray(np.exp2(np.maximum.accumulate(0.3 * ranks + 0.7 * even)))


def _table(edges: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Level of each step of the logarithm, so that a pixel costs one look-up."""
    steps = np.arange(_TABLE_OCTAVES * _TABLE_STEPS_PER_OCTAVE) / _TABLE_STEPS_PER_OCTAVE - _TABLE_OCTAVES / 2
    levels = np.searchsorted(np.log2(edges), steps + 0.5 / _TABLE_STEPS_PER_OCTAVE, side="right") - 1
    return (np.clip(levels, 0, _LEVELS - 1) + _FIRST_LEVEL).astype(np.uint8)


@numba.njit(cache=True, nogil=True)
def _spread(value: int) -> int:
    """Put a zero bit above each of the lower 32 bits."""
    value = (value | (value << 16)) & 0x0000FFFF0000FFFF
    value = (value | (value << 8)) & 0x00FF00FF00FF00FF
    value = (value | (value << 4)) & 0x0F0F0F0F0F0F0F0F
    value = (value | (value << 2)) & 0x3333333333333333
    return (value | (value << 1)) & 0x5555555555555555


@numba.njit(cache=True, nogil=True)
def _nested(quarter_turns: float, sine: float, cosine: float, order: int) -> int:
    """Nested pixel number; longitude in quarter turns within [0, 4), latitude by its sine and cosine."""
    side = 1 << order
    height = abs(sine)
    if 3 * height <= 2:  # noqa: PLR2004 -- the equatorial belt ends at sin b = 2/3
        middle, tilt = side * (0.5 + quarter_turns), side * sine * 0.75
        up, down = int(middle - tilt), int(middle + tilt)
        face_up, face_down = up >> order, down >> order
        if face_up == face_down:
            face = (face_up & 3) | 4
        elif face_up < face_down:
            face = face_up
        else:
            face = face_down + 8
        return (face << (2 * order)) | _spread(down & (side - 1)) | (_spread(side - 1 - (up & (side - 1))) << 1)
    base = min(3, int(quarter_turns))
    radius = side * cosine * math.sqrt(3 / (1 + height))
    along = quarter_turns - base
    up = min(side - 1, int(along * radius))
    down = min(side - 1, int((1 - along) * radius))
    if sine >= 0:
        return (base << (2 * order)) | _spread(side - 1 - down) | (_spread(side - 1 - up) << 1)
    return ((base + 8) << (2 * order)) | _spread(up) | (_spread(down) << 1)


@numba.njit(cache=True, nogil=True)
def _pixels(  # noqa: PLR0917 -- numba takes no keywords
    x0: float, y0: float, scale: float, width: int, height: int, ra0: float, order: int, depth_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixel of each screen pixel, and the distinct tiles. Latitude is the same along a row, longitude linear in x."""
    pixels = np.full((height, width), -1, dtype=np.int64)
    tiles = np.empty(_MAX_TILES, dtype=np.int64)
    found = 0
    last = -1
    for row in range(height):
        sine_theta = (y0 + row * scale) / HALF_HEIGHT
        if abs(sine_theta) >= 1:
            continue
        theta = math.asin(sine_theta)
        sine = (2 * theta + math.sin(2 * theta)) / math.pi
        cosine = math.sqrt(max(0.0, 1 - sine * sine))
        per_x = -math.pi / (HALF_WIDTH * math.cos(theta))
        for column in range(width):
            lon = (x0 + column * scale) * per_x
            if abs(lon) > math.pi:
                continue
            turns = ((lon + ra0) / (math.pi / 2)) % 4.0
            pixel = _nested(turns, sine, cosine, order)
            pixels[row, column] = pixel
            tile = pixel >> depth_bits
            if tile == last:
                continue
            last = tile
            known = False
            for index in range(found):
                if tiles[index] == tile:
                    known = True
                    break
            if not known and found < _MAX_TILES:
                tiles[found] = tile
                found += 1
    return pixels, tiles[:found]


@numba.njit(cache=True, nogil=True)
def _gather(
    pixels: NDArray[np.int64],
    numbers: NDArray[np.int64],
    shifts: NDArray[np.int64],
    stack: NDArray[np.uint32],
    depth_bits: int,
) -> tuple[NDArray[np.float32], float, int]:
    """Rows per pixel at the grid's order, 0 where a tile is missing; an ancestor's count is shared out evenly.

    Also the rows of all pixels met, and how many pixels those are.
    """
    values = np.zeros(pixels.shape, dtype=np.float32)
    seen = np.zeros(stack.shape, dtype=np.bool_)
    rows, hit = 0.0, 0
    mask = (1 << depth_bits) - 1
    last, slot = -1, -1
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            pixel = pixels[row, column]
            if pixel < 0:
                continue
            tile = pixel >> depth_bits
            if tile != last:
                last = tile
                slot = np.searchsorted(numbers, tile)
                if slot >= len(numbers) or numbers[slot] != tile:
                    slot = -1
            if slot >= 0:
                shift = shifts[slot]
                count = stack[slot, (pixel >> shift) & mask] / (1 << shift)
                values[row, column] = count
                if not seen[slot, pixel & mask]:
                    seen[slot, pixel & mask] = True
                    rows += count
                    hit += 1
    return values, rows, hit


@numba.njit(cache=True, nogil=True)
def _colour(values: NDArray[np.float32], pixels: NDArray[np.int64], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Palette index of each value."""
    image = np.zeros(values.shape, dtype=np.uint8)
    last_value, last_level = np.float32(-1), np.uint8(EMPTY)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            if pixels[row, column] < 0:
                continue
            value = values[row, column]
            if value != last_value:
                last_value = value
                last_level = np.uint8(EMPTY)
                if value > 0:
                    step = int((math.log2(value) + _TABLE_OCTAVES / 2) * _TABLE_STEPS_PER_OCTAVE)
                    last_level = table[max(0, min(len(table) - 1, step))]
            image[row, column] = last_level
    return image
