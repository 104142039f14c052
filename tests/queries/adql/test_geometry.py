"""Geometry of ADQL against brute force in another formulation: positions drawn from within the shapes themselves.

Half-spaces and sampled points stand against crossings and arcs: triangles of a fan say what a polygon holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pachon.core import moc
from pachon.core.cover import cover
from pachon.core.healpix import spatial_index
from pachon.core.polygons import angles, hemispheres, holds_points
from pachon.queries.adql.geometry import (
    DOUBLE,
    Shape,
    area,
    centroid,
    contains,
    intersects,
    make_shape,
    moc_literal,
    moc_of,
)
from pachon.queries.adql.regions import coverage, depth_of
from pachon.queries.plan import Expression, Literal

QUICK = settings(max_examples=30, deadline=None, database=None, derandomize=True)


def vectors(ra: Iterable[float], dec: Iterable[float]) -> np.ndarray:
    lon, lat = np.radians(np.asarray(ra, dtype=float)), np.radians(np.asarray(dec, dtype=float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def degrees(points: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.degrees(np.arctan2(points[..., 1], points[..., 0])) % 360, np.degrees(np.arcsin(points[..., 2]))], axis=-1
    )


def turned(points: np.ndarray, ra: float, dec: float) -> np.ndarray:
    """Points about the north pole, moved so that the pole comes to a position."""
    lat, lon = math.radians(90 - dec), math.radians(ra)
    about_y = [[math.cos(lat), 0, math.sin(lat)], [0, 1, 0], [-math.sin(lat), 0, math.cos(lat)]]
    about_z = [[math.cos(lon), -math.sin(lon), 0], [math.sin(lon), math.cos(lon), 0], [0, 0, 1]]
    return points @ (np.array(about_z) @ np.array(about_y)).T


places = st.one_of(
    st.tuples(st.floats(0, 360), st.floats(-90, 90)),
    st.sampled_from([(0.0, 90.0), (10.0, -90.0), (0.0, 0.0), (359.9, 20.0), (180.0, 89.0)]),
)


@st.composite
def stars(draw: st.DrawFn, largest: float = 88.0) -> tuple[np.ndarray, np.ndarray]:
    """A star-shaped polygon: its middle, and its vertices, which may be far from convex and reach a hemisphere."""
    count = draw(st.integers(3, 9))
    size = draw(st.sampled_from([0.01, 1.0, 20.0, largest]))
    reach = np.radians([draw(st.floats(0.2, 1.0)) * size for _ in range(count)])
    azimuth = 2 * np.pi * (np.arange(count) + np.array([draw(st.floats(-0.2, 0.2)) for _ in range(count)])) / count
    about_pole = np.stack([np.sin(reach) * np.cos(azimuth), np.sin(reach) * np.sin(azimuth), np.cos(reach)], axis=1)
    centre = draw(places)
    order = draw(st.sampled_from([1, -1]))
    return vectors(*centre), turned(about_pole, *centre)[::order]


def fan_margin(middle: np.ndarray, corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points one of the triangles from the middle to an edge holds; and how clear that is, as a sine."""
    inside, clear = np.zeros(len(points), dtype=bool), np.full(len(points), np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        normals = [np.cross(p, q) for p, q in ((middle, a), (a, b), (b, middle))]
        sides = np.stack([points @ normal / np.linalg.norm(normal) for normal in normals])
        same = np.all(sides >= -1e-12, axis=0) | np.all(sides <= 1e-12, axis=0)
        inside |= same & (points @ (middle + a + b) > 0)
        clear = np.minimum(clear, np.abs(sides[1]))
    return inside, clear


def sampled(middle: np.ndarray, radius_rad: float, seed: int, count: int = 2000) -> np.ndarray:
    """Points spread evenly over a circle."""
    random = np.random.default_rng(seed)
    z = 1 - random.random(count) * (1 - math.cos(radius_rad))
    phi = random.random(count) * 2 * np.pi
    flat = np.sqrt(1 - z**2)
    (lon, lat), *_ = degrees(middle[None])
    return turned(np.stack([flat * np.cos(phi), flat * np.sin(phi), z], axis=1), lon, lat)


def numbers(values: np.ndarray) -> tuple[Expression, ...]:
    return tuple(Literal(float(value), DOUBLE) for value in np.ravel(values))


def polygon(corners: np.ndarray) -> Shape:
    return make_shape("polygon", numbers(degrees(corners)))


def circle(centre: np.ndarray, radius_deg: float) -> Shape:
    return make_shape("circle", numbers(np.append(degrees(centre[None]), radius_deg)))


def known(expression: Expression) -> object:
    assert isinstance(expression, Literal)
    return expression.value


def edges(corners: np.ndarray, count: int = 200) -> np.ndarray:
    """Points along the edges, corners included, shape (edges * count, 3)."""
    share = np.linspace(0, 1, count, endpoint=False)[:, None]
    found = [a * (1 - share) + b * share for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    points = np.concatenate(found)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def size_of(middle: np.ndarray, corners: np.ndarray) -> float:
    return float(angles(middle, corners).max())


@QUICK
@given(stars(), st.integers(0, 9))
def test_a_polygon_holds_what_the_triangles_of_its_fan_hold(star: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    middle, corners = star
    points = sampled(middle, min(1.3 * size_of(*star), math.pi), seed)
    inside, clear = fan_margin(middle, corners, points)
    centres, found = hemispheres(corners[None])
    assert found[0]
    decided = clear > 1e-11
    answer = holds_points(corners[None], centres, np.stack([points, -points]).reshape(1, -1, 3))[0]
    assert np.array_equal(answer[: len(points)][decided], inside[decided])
    assert not answer[len(points) :][inside & decided].any()
    assert holds_points(corners[None], centres, edges(corners, 2)[None])[0].all()


@QUICK
@given(stars(), st.integers(0, 9))
def test_area_and_centroid_are_those_of_points_strewn_over_a_polygon(
    star: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    middle, corners = star
    reach = size_of(*star)
    points = sampled(middle, reach, seed, 20_000)
    inside, _ = fan_margin(middle, corners, points)
    share = inside.mean()
    circle_deg2 = 2 * math.pi * (1 - math.cos(reach)) * math.degrees(1) ** 2
    if reach < 0.01:
        circle_deg2 = math.pi * math.degrees(reach) ** 2
    error = 5 * math.sqrt(share * (1 - share) / len(points)) + 1e-3
    assert abs(known(area(polygon(corners))) / circle_deg2 - share) < error
    found = centroid(polygon(corners))
    there = vectors(*([value] for value in found.values))[0]
    mean = points[inside].mean(axis=0)
    assert angles(there, mean / np.linalg.norm(mean)) < 6 * reach / math.sqrt(inside.sum())


@QUICK
@given(stars(), places, st.floats(0.001, 1.5), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_circles_and_polygons_relate_as_their_points_do(
    star: tuple[np.ndarray, np.ndarray], place: tuple[float, float], size: float, away: float
) -> None:
    middle, corners = star
    reach = size_of(*star)
    other = vectors(*place)
    assume(np.linalg.norm(np.cross(middle, other)) > 0.1)
    axis = np.cross(np.cross(middle, other), middle)
    angle = away * reach
    centre = middle * math.cos(angle) + axis / np.linalg.norm(axis) * math.sin(angle)
    radius = min(size * reach, math.pi)
    rim = edges(corners)
    nearest, farthest = angles(centre, rim).min(), angles(centre, rim).max()
    inside, clear = fan_margin(middle, corners, centre[None])
    blur = 0.02 * reach + 1e-12
    assume(clear[0] > 1e-11 and min(abs(nearest - radius), abs(farthest - radius)) > blur)
    round_, straight = circle(centre, math.degrees(radius)), polygon(corners)
    assert known(intersects(round_, straight)) is known(intersects(straight, round_))
    assert known(intersects(straight, round_)) is bool(inside[0] or nearest < radius)
    assert known(contains(round_, straight)) is bool(inside[0] and nearest > radius)
    if radius < math.pi / 2:
        assert known(contains(straight, round_)) is bool(farthest < radius)
    beyond = circle(-centre, math.degrees(math.pi - radius))
    if abs(math.pi - radius) > math.pi / 2:
        assert known(contains(straight, beyond)) is not bool(inside[0] or nearest < radius - blur)


@QUICK
@given(stars(60.0), stars(60.0), st.sampled_from([0.0, 0.3, 1.0, 1.8]), st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_polygons_relate_as_points_on_their_edges_do(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], away: float, scale: float
) -> None:
    middle, corners = first
    reach = size_of(*first)
    lon, lat = degrees(second[0][None])[0]
    back = turned(np.eye(3), lon, lat)
    about = second[1] @ np.linalg.inv(back)
    tilt = np.arccos(np.clip(about[:, 2], -1, 1)) / size_of(*second) * min(scale * reach, 1.2)
    azimuth = np.arctan2(about[:, 1], about[:, 0])
    shape = np.stack([np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)], axis=1)
    here = degrees(middle[None])[0]
    target = turned(vectors([30.0], [90 - math.degrees(away * reach)]), *here)[0]
    other = turned(shape, *degrees(target[None])[0])
    ours, theirs = edges(corners), edges(other)
    held, held_clear = fan_margin(middle, corners, theirs)
    holds, holds_clear = fan_margin(target, other, ours)
    deep = 0.01 * reach
    assume(hemispheres(other[None])[1][0])
    one, two = polygon(corners), polygon(other)
    assert known(contains(one, one)) is True
    assert known(intersects(one, one)) is True
    near = min(angles(each, ours).min() for each in theirs[::10])
    if near > deep:
        assert known(intersects(one, two)) is bool(held.any() or holds.any())
        assert known(contains(two, one)) is bool(held.all())
        assert known(contains(one, two)) is bool(holds.all())
    elif (held & (held_clear > 1e-9)).any() or (holds & (holds_clear > 1e-9)).any():
        assert known(intersects(one, two)) is True


@QUICK
@given(stars(), st.integers(0, 9))
def test_cells_of_a_polygon_leave_out_none_of_its_points_and_fill_no_others(
    star: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    middle, corners = star
    points = sampled(middle, min(1.5 * size_of(*star), math.pi), seed)
    inside, clear = fan_margin(middle, corners, points)
    found = cover(depth_of("polygon", polygon(corners).values), most_cells=300)
    index = spatial_index(*degrees(points).T)
    decided = clear > 1e-11
    assert moc.holds(found.outer, index)[inside & decided].all()
    assert not moc.holds(found.inner, index)[~inside & decided].any()


cells = st.lists(
    st.integers(0, 6).flatmap(lambda order: st.tuples(st.just(order), st.integers(0, 12 * 4**order - 1))), max_size=12
)


@QUICK
@given(cells, cells)
def test_mocs_are_sets_of_cells(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    def finest(some: list[tuple[int, int]]) -> set[int]:
        return {cell for order, pixel in some for cell in range(pixel << 12 - 2 * order, (pixel + 1) << 12 - 2 * order)}

    one, two = finest(first), finest(second)
    texts = [" ".join(f"{order}/{pixel}" for order, pixel in some) for some in (first, second)]
    a, b = (moc.parse(text) for text in texts)
    for ranges, expected in (
        (a, one),
        (moc.union([a, b]), one | two),
        (moc.intersection(a, b), one & two),
        (moc.complement(a), set(range(12 * 4**6)) - one),
        (moc.parse(moc.write(a)), one),
    ):
        assert {cell for low, high in ranges for cell in range(low >> 46, high >> 46)} == expected
    whole = [moc_literal(each) for each in (a, b)]
    assert known(intersects(*whole)) is bool(one & two)
    assert known(contains(*whole)) is (one <= two)
    assert math.isclose(known(area(whole[0])), 4 * math.pi * math.degrees(1) ** 2 * len(one) / (12 * 4**6))


def test_a_moc_of_a_shape_has_the_cells_that_hold_its_points() -> None:
    shape = circle(vectors(0.0, 90.0), 3.0)
    made = moc_of(shape, 7)
    ranges = moc.parse(str(known(made.whole)))
    points = sampled(vectors(0.0, 90.0), math.radians(3.0), 1, 50_000)
    touched = {int(index) >> 44 for index in spatial_index(*degrees(points).T)}
    named = {cell for low, high in ranges for cell in range(low >> 44, high >> 44)}
    assert touched <= named
    assert len(named - touched) < 0.03 * len(named)
    assert known(contains(shape, made)) is True
    assert known(contains(made, shape)) is False
    assert known(intersects(made, circle(vectors(0.0, 80.0), 1.0))) is False
    assert known(intersects(made, circle(vectors(0.0, 86.0), 1.2))) is True


@given(place=st.tuples(st.floats(0, 360), st.floats(-90, 90)), order=st.integers(0, 29))
def test_the_moc_of_a_point_is_the_one_cell_that_holds_it(place: tuple[float, float], order: int) -> None:
    cell = int(spatial_index(np.array(place[:1]), np.array(place[1:]))[0]) >> 2 * (29 - order)
    assert moc.write(coverage("point", place, order=order)) == f"{order}/{cell}"
