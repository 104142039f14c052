import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from pachon.core.errors import UsageError
from pachon.core.sky import Cone, check_position, separation_deg


def test_separations_agree_with_astropy_at_the_poles_and_across_ra_zero() -> None:
    random = np.random.default_rng(3)
    ra = np.concatenate([random.uniform(0, 360, 500), [0, 359.9999999, 120, 300]])
    dec = np.concatenate([random.uniform(-90, 90, 500), [0, 0, 90, -90]])
    for ra0, dec0 in ((0.0, 0.0), (359.99, 5.0), (17.0, 90.0), (200.0, -90.0)):
        expected = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(ra0, dec0, unit="deg")).to_value(u.deg)
        np.testing.assert_allclose(separation_deg(ra, dec, ra0, dec0), expected, atol=2e-8)


def test_a_separation_far_below_an_arcsecond_is_kept() -> None:
    assert separation_deg(10.0 + 1e-9, 0.0, 10.0, 0.0) == pytest.approx(1e-9, rel=1e-4)


def test_a_cone_holds_the_positions_on_its_edge_and_wraps_right_ascension() -> None:
    cone = Cone(-1.0, 0.0, 2.0)
    assert cone.ra_deg == 359.0
    assert cone.contains(np.array([357.0, 358.0, 1.0, 1.1]), np.zeros(4)).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "parameter"),
    [(float("nan"), 0, "RA"), (float("inf"), 0, "RA"), (0, 90.0001, "DEC"), (0, float("nan"), "DEC")],
)
def test_a_wrong_coordinate_is_refused_by_its_name(ra_deg: float, dec_deg: float, parameter: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check_position(ra_deg, dec_deg)
    assert refusal.value.parameter == parameter


@pytest.mark.parametrize("radius_deg", [-0.1, 180.1, float("nan")])
def test_a_radius_outside_half_a_turn_is_refused(radius_deg: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 180"):
        Cone(0, 0, radius_deg)
