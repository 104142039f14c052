"""Polygons and circles on the sphere, many at once: exact relations between shapes whose edges are great circles.

Polygons are unit vectors, shape (n, m, 3): n polygons of at most m vertices, shorter ones repeating their last vertex.
Each lies in an open hemisphere, and its inside is the smaller part of the sphere whatever way it is written round: DALI
1.1, section 3.3.7, asks for counter-clockwise, which practice does not keep. Angles are radians. Boundaries belong to
the shapes, within `TOUCH_RAD`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]
Angles = NDArray[np.float64]
Mask = NDArray[np.bool_]

TOUCH_RAD = 1e-12
"""What counts as touching: 0.2 microarcseconds, some thousand times the rounding of a coordinate in degrees."""
_HEMISPHERE_MARGIN = 1e-7
"""How far vertices stay from the edge of their hemisphere, radians."""


def unit_vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> Vectors:
    """ICRS Cartesian unit vectors of positions (ICRS degrees): the shape of the inputs and a last axis of 3."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def positions_deg(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension in [0, 360) and declination (ICRS degrees) of vectors of any length, shape (..., 3)."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))


def angles(first: Vectors, second: Vectors) -> Angles:
    """Angles between vectors, exact for small and for large ones."""
    cross = np.linalg.norm(np.cross(first, second - first), axis=-1)
    return np.asarray(np.arctan2(cross, _dot(first, second)))


def box_vertices(ra_deg: Angles, dec_deg: Angles, width_deg: Angles, height_deg: Angles) -> Vectors:
    """The corners of ADQL boxes as polygons, shape (n, 4, 3).

    The sides of a box are the great circles half its width east and west, and half its height north and south, of the
    centre (ADQL 2.1, section 4.2.3).
    """
    centre = unit_vectors(ra_deg, dec_deg)
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=-1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=-1)
    x, y = np.tan(np.radians(width_deg) / 2)[:, None], np.tan(np.radians(height_deg) / 2)[:, None]
    corners = [centre + sx * x * east + sy * y * north for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return _unit(np.stack(corners, axis=1))


def hemispheres(polygons: Vectors) -> tuple[Vectors, Mask]:
    """The middle of a hemisphere that holds each polygon, and which polygons have one.

    Returns
    -------
    centres
        Shape (n, 3).
    found
        Shape (n,).
    """
    centres = _unit(polygons.mean(axis=1))
    found = _least(centres, polygons) > _HEMISPHERE_MARGIN
    for row in np.flatnonzero(~found):
        points: Vectors = np.random.default_rng(0).permutation(np.unique(polygons[row], axis=0))
        centres[row], _ = _smallest_cap(points)
    return centres, _least(centres, polygons) > _HEMISPHERE_MARGIN


def _least(centres: Vectors, polygons: Vectors) -> Angles:
    return np.asarray((polygons @ centres[:, :, None]).min(axis=(1, 2), initial=1.0))


def _smallest_cap(points: Vectors, rim: tuple[Vectors, ...] = ()) -> tuple[Vectors, float]:
    """The smallest circle round points of a hemisphere, with those of `rim` on it; of no use for other points.

    Returns
    -------
    centre
        Unit vector, shape (3,).
    reach
        Cosine of the radius.
    """
    centre = _middle(rim) if rim else points[0]
    reach = min((float(each @ centre) for each in rim), default=1.0)
    place = 0
    while len(rim) < 3:  # noqa: PLR2004 -- three points fix a circle
        outside = np.flatnonzero(points[place:] @ centre < reach - TOUCH_RAD)
        if not len(outside):
            break
        place += int(outside[0])
        centre, reach = _smallest_cap(points[:place], (*rim, points[place]))
        place += 1
    return centre, reach


def _middle(rim: tuple[Vectors, ...]) -> Vectors:
    if len(rim) < 3:  # noqa: PLR2004 -- the smallest circle through one or two points
        return _unit(np.sum(rim, axis=0))
    axis = _unit(np.cross(rim[1] - rim[0], rim[2] - rim[0]))
    return axis if axis @ rim[0] >= 0 else -axis


def holds_points(polygons: Vectors, centres: Vectors, points: Vectors) -> Mask:
    """Whether points lie in polygons or on their edges.

    Parameters
    ----------
    polygons
        Shape (n, m, 3).
    centres
        Of their hemispheres, shape (n, 3).
    points
        Shape (n, k, 3).

    Returns
    -------
    numpy.ndarray
        Shape (n, k).
    """
    return _strictly_inside(polygons, centres, points) | (edge_distances(polygons, points) <= TOUCH_RAD)


def _strictly_inside(polygons: Vectors, centres: Vectors, points: Vectors) -> Mask:
    """By crossings of a great circle that leads from the point to the edge of the hemisphere, where nothing is inside.

    In the tangent plane at the centre great circles are straight; its coordinates stay homogeneous here, so that
    vertices near the edge of the hemisphere do no harm.
    """
    east = _unit(np.cross(np.where(np.abs(centres[:, 2:]) > 0.9, [1.0, 0, 0], [0, 0, 1.0]), centres))  # noqa: PLR2004 -- any axis
    axes = np.stack([east, np.cross(centres, east), centres], axis=1)
    flat, seen = polygons @ axes.swapaxes(1, 2), points @ axes.swapaxes(1, 2)
    x, y, z = (flat[:, None, :, k] for k in range(3))
    px, py, ahead = (seen[:, :, None, k] for k in range(3))
    side = y * ahead - z * py
    before, after = np.roll(side, 1, axis=2), side
    at_x = np.roll(x, 1, axis=2) * after - x * before
    at_z = np.roll(z, 1, axis=2) * after - z * before
    beyond = np.where(after > 0, at_x * ahead - px * at_z, px * at_z - at_x * ahead) > 0
    crossings = (((before > 0) != (after > 0)) & beyond).sum(axis=2)
    return np.asarray((seen[:, :, 2] > 0) & (crossings % 2 == 1))


def edge_distances(polygons: Vectors, points: Vectors) -> Angles:
    """Distance of points, shape (n, k, 3), from the nearest edge of their polygons, shape (n, k)."""
    normals, ends = _edge_normals(polygons), np.roll(polygons, -1, axis=1)
    height, after, before = (
        points @ each.swapaxes(1, 2) for each in (normals, np.cross(normals, polygons), np.cross(ends, normals))
    )
    to_edge = np.where((after > 0) & (before > 0), np.arcsin(np.clip(np.abs(height), 0, 1)), np.pi)
    chord = np.sqrt(sum(np.square(points[:, :, None, k] - polygons[:, None, :, k]) for k in range(3)))
    to_vertex = 2 * np.arcsin(np.clip(chord / 2, 0, 1))
    return np.asarray(np.minimum(to_edge, to_vertex).min(axis=2))


def cross(first: Vectors, second: Vectors) -> Mask:
    """Whether any edge of one polygon passes through one of the other, which touching does not, shape (n,)."""
    normals, ends = _edge_normals(first), np.roll(first, -1, axis=1)
    height, after, before = (
        each @ second.swapaxes(1, 2) for each in (normals, np.cross(normals, first), np.cross(ends, normals))
    )
    height_next = np.roll(height, -1, axis=2)
    passes = (height * height_next < 0) & (np.minimum(np.abs(height), np.abs(height_next)) > TOUCH_RAD)
    low, high = np.abs(height), np.abs(height_next)
    margin = TOUCH_RAD * (low + high)
    within = (after * high + np.roll(after, -1, axis=2) * low > margin) & (
        before * high + np.roll(before, -1, axis=2) * low > margin
    )
    return np.asarray((passes & within).any(axis=(1, 2)))


def polygons_meet(first: Vectors, second: Vectors) -> Mask:
    """Whether two polygons share a point, shape (n,)."""
    corner = holds_points(first, hemispheres(first)[0], second).any(axis=1)
    corner |= holds_points(second, hemispheres(second)[0], first).any(axis=1)
    return corner | cross(first, second)


def polygon_holds_polygon(outer: Vectors, inner: Vectors) -> Mask:
    """Whether the inner polygon lies in the outer one, shape (n,)."""
    centres = hemispheres(outer)[0]
    middles = _unit(inner + np.roll(inner, -1, axis=1))
    held = holds_points(outer, centres, np.concatenate([inner, middles], axis=1)).all(axis=1)
    reach_in = _strictly_inside(inner, hemispheres(inner)[0], outer) & (edge_distances(inner, outer) > TOUCH_RAD)
    return held & ~reach_in.any(axis=1) & ~cross(outer, inner)


def circle_meets_polygon(centre: Vectors, radius: Angles, polygons: Vectors) -> Mask:
    """Whether a circle (centre of shape (n, 3), radius of shape (n,)) and a polygon share a point."""
    return _reach(polygons, centre) <= radius + TOUCH_RAD


def circle_in_polygon(centre: Vectors, radius: Angles, polygons: Vectors) -> Mask:
    """Whether a polygon holds a circle."""
    points = centre[:, None, :]
    held = holds_points(polygons, hemispheres(polygons)[0], points)[:, 0]
    return held & (edge_distances(polygons, points)[:, 0] >= radius - TOUCH_RAD)


def polygon_in_circle(polygons: Vectors, centre: Vectors, radius: Angles) -> Mask:
    """Whether a circle holds a polygon.

    Up to a hemisphere a circle is convex: it holds the polygon if it holds the vertices. Beyond, the polygon must stay
    out of the smaller circle on the other side of the sky.
    """
    farthest = angles(centre[:, None, :], polygons).max(axis=1)
    clear = _reach(polygons, -centre) >= np.pi - radius - TOUCH_RAD
    return np.asarray(np.where(radius <= np.pi / 2, farthest <= radius + TOUCH_RAD, clear))


def _reach(polygons: Vectors, places: Vectors) -> Angles:
    """Distance of places from polygons, 0 inside, shape (n,)."""
    points = places[:, None, :]
    held = holds_points(polygons, hemispheres(polygons)[0], points)[:, 0]
    return np.asarray(np.where(held, 0.0, edge_distances(polygons, points)[:, 0]))


def signed_areas(polygons: Vectors) -> Angles:
    """Areas in steradians, negative for those written clockwise as seen from outside the sphere, shape (n,).

    The sum of the excesses of the triangles that the first vertex makes with the edges, of either sign.
    """
    a, b, c = polygons[:, :1], polygons[:, 1:-1], polygons[:, 2:]
    volume = _dot(np.broadcast_to(a, b.shape), np.cross(b - a, c - a))
    excess = 2 * np.arctan2(volume, 1 + _dot(a, b) + _dot(b, c) + _dot(c, a)).sum(axis=1)
    return np.asarray(excess - 4 * np.pi * np.round(excess / (4 * np.pi)))


def centroids(polygons: Vectors) -> Vectors:
    """Unit vectors towards the mean position over each polygon, shape (n, 3): edge lengths times edge normals."""
    lengths = angles(polygons, np.roll(polygons, -1, axis=1))
    summed = np.einsum("nm,nmk->nk", lengths, _edge_normals(polygons))
    return _unit(summed * np.sign(signed_areas(polygons))[:, None])


def _edge_normals(polygons: Vectors) -> Vectors:
    """Unit normals of the edges from each vertex to the next, to their left; zero for an edge without length."""
    return _unit(np.cross(polygons, np.roll(polygons, -1, axis=1) - polygons))


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))


def _dot(first: Vectors, second: Vectors) -> Angles:
    return np.asarray((first * second).sum(axis=-1))
