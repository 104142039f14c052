"""The real catalogues, as built in `var` of the checkout."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pachon.core import clock
from pachon.core.sky import separation_deg
from pachon.preview.build import DEFAULT, build, is_current, published_folder
from pachon.preview.models import LineReporter, Places
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.hats.reader import SnapshotCatalogue
from pachon.releases.registry import Registry
from pachon.releases.upkeep import problems, recover
from support.stores import snapshot_of

pytestmark = [pytest.mark.catalogues, pytest.mark.timeout(900)]

VAR = Path(__file__).parents[2] / "var"


@pytest.fixture(scope="module")
def places() -> Places:
    places = Places(VAR / "releases", VAR / "downloads")
    for catalogue in DEFAULT:
        if not is_current(catalogue, places):
            build(catalogue, places, LineReporter(print))
    recover(Registry(places.releases), at=clock.now(), keep=timedelta(days=1), report=print)
    return places


@pytest.fixture(scope="module")
def store(places: Places) -> FolderReleaseStore:
    return FolderReleaseStore(places.releases)


def _read(store: FolderReleaseStore, table: str, columns: list[str]) -> pa.Table:
    parts = snapshot_of(store, table).partitions
    return pa.concat_tables(pq.read_table(part.path, columns=columns, partitioning=None) for part in parts)


def test_every_file_is_as_it_was_built_and_every_row_is_there(places: Places, store: FolderReleaseStore) -> None:
    for catalogue in DEFAULT:
        assert list(problems(published_folder(catalogue, places))) == []
        (table,) = next(release for release in store.releases() if release.id == catalogue.id).tables
        assert table.row_count == catalogue.row_count
        skymap = SnapshotCatalogue(snapshot_of(store, table.qualified_name)).skymap()
        assert skymap is not None
        assert skymap.sum() == catalogue.row_count


def test_tycho2_has_the_counts_that_its_description_tells(store: FolderReleaseStore) -> None:
    columns = ["tyc", "has_mean_position", "mean_flag", "bt_mag", "vt_mag", "hip", "v_mag", "b_v", "ra", "dec"]
    stars = _read(store, "tycho2.stars", columns)
    assert pc.count_distinct(stars["tyc"]).as_py() == 2_539_913
    assert pc.sum(pc.invert(stars["has_mean_position"])).as_py() == 109_445
    assert pc.sum(pc.equal(stars["mean_flag"], "X")).as_py() == 109_445
    assert (stars["bt_mag"].null_count, stars["vt_mag"].null_count) == (91, 20)
    assert stars["v_mag"].null_count == stars["b_v"].null_count == 111
    assert len(stars) - stars["hip"].null_count == 119_740
    assert stars["ra"].null_count == stars["dec"].null_count == 0


def test_the_same_stars_stand_at_the_same_place_in_tycho2_and_hipparcos(store: FolderReleaseStore) -> None:
    names = ["hip", "ra", "dec", "pmra", "pmdec"]
    tycho = _read(store, "tycho2.stars", names).filter(pc.field("pmra").is_valid())
    pairs = tycho.join(
        _read(store, "hipparcos.stars", ["hip", "ra", "dec"]), "hip", right_suffix="_h", join_type="inner"
    )
    ra, dec, pmra, pmdec, ra_h, dec_h = (
        pairs[name].to_numpy().astype(float) for name in ("ra", "dec", "pmra", "pmdec", "ra_h", "dec_h")
    )
    years = 1991.25 - 2000.0
    moved_dec = dec + years * pmdec / 3.6e6
    moved_ra = ra + years * pmra / 3.6e6 / np.cos(np.radians(dec))
    apart_arcsec = 3600 * np.array(
        [separation_deg(*place).item() for place in zip(moved_ra, moved_dec, ra_h, dec_h, strict=True)][::50]
    )
    assert len(pairs) > 110_000
    assert np.median(apart_arcsec) < 0.02
    assert np.quantile(apart_arcsec, 0.95) < 0.2


def test_well_known_objects_are_where_everybody_knows_them(store: FolderReleaseStore) -> None:
    objects = {
        row["messier"]: row for row in _read(store, "openngc.objects", ["messier", "ra", "dec", "v_mag"]).to_pylist()
    }
    assert separation_deg(objects["031"]["ra"], objects["031"]["dec"], 10.6847, 41.2691) < 0.01
    stars = {row["hip"]: row for row in _read(store, "hipparcos.stars", ["hip", "ra", "dec", "parallax"]).to_pylist()}
    assert stars[87937]["parallax"] == pytest.approx(548.31, abs=0.01)
    assert separation_deg(stars[91262]["ra"], stars[91262]["dec"], 279.2347, 38.7837) < 0.001
