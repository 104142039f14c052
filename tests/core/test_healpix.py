import numpy as np
import pytest

from pachon.core.healpix import cone_index_ranges, pixel_count, pixel_of, spatial_index
from pachon.core.sky import Cone
from support.skies import make_stars


def test_a_pixel_number_is_the_leading_part_of_the_spatial_index() -> None:
    stars = make_stars(3_000)
    ra, dec = stars["ra"].to_numpy(), stars["dec"].to_numpy()
    for order in (0, 8, 20):
        pixels = pixel_of(ra, dec, order=order)
        assert (pixels == spatial_index(ra, dec) >> 2 * (29 - order)).all()
        assert pixels.min() >= 0
        assert pixels.max() < pixel_count(order)


@pytest.mark.parametrize("radius_deg", [0.0, 1e-6, 1 / 3600, 0.3, 12.0, 100.0, 180.0])
@pytest.mark.parametrize("centre", [(0.0, 90.0), (77.0, -90.0), (0.0, 10.0), (359.99, 10.0), (123.4, 42.0)])
def test_the_ranges_of_a_cone_miss_no_position_inside_it(centre: tuple[float, float], radius_deg: float) -> None:
    ra_deg, dec_deg = centre
    random = np.random.default_rng(5)
    spread = max(radius_deg, 1e-7)
    dec = np.clip(np.concatenate([[dec_deg], dec_deg + random.uniform(-spread, spread, 4_000)]), -90, 90)
    stretch = spread / max(np.cos(np.radians(dec_deg)), 1e-3)
    ra = np.concatenate([[ra_deg], ra_deg + random.uniform(-stretch, stretch, 4_000)]) % 360
    inside = Cone(ra_deg, dec_deg, radius_deg).contains(ra, dec)
    index = spatial_index(ra[inside], dec[inside])
    ranges = cone_index_ranges(Cone(ra_deg, dec_deg, radius_deg))
    which = np.searchsorted(ranges[:, 1], index, side="right")
    assert inside.any()
    assert (which < len(ranges)).all()
    assert (ranges[which, 0] <= index).all()


def test_the_ranges_of_a_cone_are_few_sorted_disjoint_and_close_to_its_area() -> None:
    ranges = cone_index_ranges(Cone(123.4, 42.0, 1.0))
    assert (ranges[:, 0] < ranges[:, 1]).all()
    assert (ranges[1:, 0] > ranges[:-1, 1]).all()
    covered = (ranges[:, 1] - ranges[:, 0]).sum() / pixel_count(29)
    wanted = (1 - np.cos(np.radians(1.0))) / 2
    assert wanted < covered < 1.6 * wanted
    assert len(ranges) < 200
