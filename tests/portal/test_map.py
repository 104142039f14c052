import numpy as np
import pytest

from pachon.core.healpix import pixel_count, pixel_of
from pachon.portal.compute import in_box
from pachon.portal.density import EMPTY, OUTSIDE, Tile, grid_of, paint, rows_in_view
from pachon.portal.graticule import graticule
from pachon.portal.projection import View, project, unproject


def positions(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    ra = random.uniform(0, 360, count)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    dec[:6] = [89.9999, -89.9999, 41.81, -41.81, 0.0, 88.0]
    return ra, dec


def test_projecting_and_back_gives_the_same_place_on_the_sky() -> None:
    ra, dec = positions()
    x, y = project(ra, dec, ra0_deg=200.0)
    for index in range(ra.size):
        back = unproject(float(x[index]), float(y[index]), ra0_deg=200.0)
        assert back is not None
        off_ra = ((back[0] - ra[index] + 180) % 360 - 180) * np.cos(np.radians(dec[index]))
        assert abs(off_ra) < 1e-5
        assert back[1] == pytest.approx(dec[index], abs=1e-5)


@pytest.mark.parametrize("view", [View.whole_sky(300, 160), View.around(0.1, 89.0, field_deg=6, width=200, height=150)])
def test_every_screen_pixel_shows_the_healpix_pixel_it_covers(view: View) -> None:
    grid = grid_of(view)
    for row in range(0, view.height, 7):
        for column in range(0, view.width, 7):
            x = view.x_range[0] + (column + 0.5) * view.scale
            y = view.y_range[0] + (row + 0.5) * view.scale
            place = unproject(x, y, ra0_deg=view.ra0_deg)
            if place is None:
                assert grid.pixels[row, column] == -1
            else:
                expected = pixel_of(np.array([place[0]]), np.array([place[1]]), order=grid.order)[0]
                assert grid.pixels[row, column] == expected


def test_the_rows_in_view_are_estimated_from_areas() -> None:
    view = View.whole_sky(400, 210)
    grid = grid_of(view)
    counts = np.full(4**8, 5, dtype=np.uint8)
    picture = paint(grid, {number: Tile(counts) for number in grid.tiles})
    assert rows_in_view(picture, grid, view) == pytest.approx(5 * pixel_count(8), rel=0.01)
    assert picture.is_complete


def test_a_missing_tile_is_drawn_from_its_ancestor_and_said_to_be_incomplete() -> None:
    view = View.around(56.75, 24.12, field_deg=8, width=300, height=200)
    grid = grid_of(view)
    counts = np.full(4**8, 64, dtype=np.uint8)
    exact = paint(grid, {number: Tile(counts) for number in grid.tiles})
    coarse = paint(grid, {number: Tile(counts, missing_orders=1) for number in grid.tiles})
    assert coarse.row_count == pytest.approx(exact.row_count / 4)
    assert exact.is_complete
    assert not coarse.is_complete


def test_outside_the_sky_is_clear_and_empty_sky_is_not() -> None:
    grid = grid_of(View.whole_sky(200, 110))
    image = paint(grid, {number: Tile(np.zeros(4**8, dtype=np.uint8)) for number in grid.tiles}).image
    assert image[0, 0] == OUTSIDE
    assert image[55, 100] == EMPTY


def test_zooming_never_leaves_the_sky_or_goes_below_an_arc_minute() -> None:
    view = View.whole_sky(800, 400)
    assert view.zoomed(0.1).scale == view.scale
    assert view.zoomed(1e9).field_deg == pytest.approx(1 / 60)
    far = view.zoomed(4).moved(50, 50)
    assert unproject(far.x, 0.0, ra0_deg=0.0) is not None


def test_a_map_of_another_size_shows_all_that_was_shown() -> None:
    view = View.around(10, 20, field_deg=5, width=800, height=400)
    narrow = view.resized(300, 400)
    assert narrow.scale * narrow.width == pytest.approx(view.scale * view.width)
    assert narrow.scale * narrow.height > view.scale * view.height


def test_the_graticule_labels_lines_inside_the_view() -> None:
    view = View.around(83.8, -5.4, field_deg=10, width=900, height=450)
    lines = graticule(view)
    assert len(lines.labels) >= 6
    assert in_box(lines.label_x, lines.label_y, x_range=view.x_range, y_range=view.y_range).all()


@pytest.mark.parametrize(
    "view",
    [View.whole_sky(1000, 520), View.whole_sky(362, 304, ra0_deg=83.8)]
    + [
        View.around(83.8 + step, -5.4, field_deg=field, width=900, height=450) for step in range(4) for field in (3, 60)
    ],
)
def test_no_label_of_the_graticule_is_cut_at_the_edge_or_stands_on_another(view: View) -> None:
    lines = graticule(view)
    right = np.array([x / view.scale + 8 + 7 * len(text) for x, text in zip(lines.label_x, lines.labels, strict=True)])
    assert right.size
    assert right.max() <= view.x_range[1] / view.scale
    x, y = lines.label_x / view.scale, lines.label_y / view.scale
    near = (np.abs(x[:, None] - x) < 40) & (np.abs(y[:, None] - y) < 15)
    assert near.sum() == x.size
