import itertools
import warnings
from pathlib import Path

import hats
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hats.io.skymap import read_skymap
from hats.io.validation import is_valid_catalog
from numpy.typing import NDArray

from pachon.core.errors import SetupError, UsageError
from pachon.core.healpix import cone_index_ranges, pixel_of, spatial_index
from pachon.core.sky import Cone
from pachon.releases.hats import workplace
from pachon.releases.hats.layout import index_range
from pachon.releases.hats.partitioning import choose_partitions
from pachon.releases.hats.reader import HatsCatalogue, overlapping
from pachon.releases.hats.writer import CatalogueFormat, write_catalogue
from support.imports import contents
from support.skies import make_release, make_stars


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="module")
def stars(root: Path) -> pa.Table:
    return make_release(root, rows=20_000, partition_rows=1_000)


@pytest.fixture(scope="module")
def catalogue(root: Path, stars: pa.Table) -> HatsCatalogue:
    assert len(stars) == 20_000
    return HatsCatalogue(root / "sky" / "tables" / "stars")


@pytest.fixture(scope="module")
def index(stars: pa.Table) -> NDArray[np.int64]:
    return np.sort(spatial_index(stars["ra"].to_numpy(), stars["dec"].to_numpy()))


def _layout(schema: pa.Schema) -> CatalogueFormat:
    return CatalogueFormat(name="sky.stars", schema=schema, ra_column="ra", dec_column="dec")


def test_every_row_is_in_the_catalogue_once_with_all_its_values(catalogue: HatsCatalogue, stars: pa.Table) -> None:
    written = pa.concat_tables(pq.read_table(part.path, partitioning=None) for part in catalogue.partitions)
    assert written.drop_columns("_healpix_29").sort_by("id").equals(stars.sort_by("id"))


def test_each_partition_is_sorted_and_holds_the_rows_of_its_pixel_only(catalogue: HatsCatalogue) -> None:
    assert len({part.order for part in catalogue.partitions}) > 2
    for part in catalogue.partitions:
        rows = pq.read_table(part.path, columns=["ra", "dec", "_healpix_29"], partitioning=None)
        values = rows["_healpix_29"].to_numpy()
        start, stop = index_range(part)
        assert len(values) == part.row_count
        assert (np.diff(values) >= 0).all()
        assert start <= values[0]
        assert values[-1] < stop
        assert (pixel_of(rows["ra"].to_numpy(), rows["dec"].to_numpy(), order=29) == values).all()


def test_partitions_do_not_overlap_and_none_that_could_be_split_is_too_large(catalogue: HatsCatalogue) -> None:
    spans = [index_range(part) for part in catalogue.partitions]
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(spans))
    assert max(part.row_count for part in catalogue.partitions if part.order < 8) <= 1_000


def test_the_density_map_counts_the_rows_of_each_pixel(catalogue: HatsCatalogue, stars: pa.Table) -> None:
    for order in (8, 3, 0):
        pixels = pixel_of(stars["ra"].to_numpy(), stars["dec"].to_numpy(), order=order)
        density = catalogue.density(order=order)
        assert density.dtype == np.uint32
        assert (density == np.bincount(pixels, minlength=12 * 4**order)).all()
    with pytest.raises(UsageError, match="between 0 and 8"):
        catalogue.density(order=9)


def test_indices_of_a_range_are_those_of_the_rows_in_it(catalogue: HatsCatalogue, index: NDArray[np.int64]) -> None:
    edges = [0, int(index[0]), int(index[7_777]), int(index[7_777]) + 1, int(index[-1]), 12 << 58]
    for start in edges:
        for stop in edges:
            expected = index[(index >= start) & (index < stop)]
            assert (catalogue.indices(start, stop) == expected).all()


@pytest.mark.parametrize("centre", [(0.0, 90.0), (50.0, -90.0), (0.0, 10.0), (200.0, -33.0)])
def test_the_partitions_of_a_cone_hold_all_its_rows_and_are_only_those_it_touches(
    catalogue: HatsCatalogue, stars: pa.Table, centre: tuple[float, float]
) -> None:
    cone = Cone(*centre, 0.4)
    ranges = cone_index_ranges(cone)
    chosen = overlapping(catalogue.partitions, ranges)
    inside = cone.contains(stars["ra"].to_numpy(), stars["dec"].to_numpy())
    ids = pa.concat_tables(pq.read_table(part.path, columns=["id"], partitioning=None) for part in chosen)["id"]
    assert set(stars["id"].to_numpy()[inside]) <= set(ids.to_numpy())
    touched = [
        part
        for part in catalogue.partitions
        if any(start < index_range(part)[1] and stop > index_range(part)[0] for start, stop in ranges.tolist())
    ]
    assert list(chosen) == touched
    assert len(chosen) < len(catalogue.partitions)


def test_no_range_touches_no_partition(catalogue: HatsCatalogue) -> None:
    assert overlapping(catalogue.partitions, np.empty((0, 2), dtype=np.int64)) == ()


def test_the_reference_library_finds_the_catalogue_valid_and_counts_the_same(catalogue: HatsCatalogue) -> None:
    opened = hats.read_hats(catalogue.folder)
    assert is_valid_catalog(catalogue.folder, strict=True, verbose=False)
    assert len(opened) == 20_000
    pixels = {(pixel.order, pixel.pixel) for pixel in opened.get_healpix_pixels()}
    assert pixels == {(part.order, part.pixel) for part in catalogue.partitions}
    assert (read_skymap(opened, None) == catalogue.density()).all()


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # of LSDB's own calls
def test_lsdb_opens_the_catalogue_and_finds_the_rows_of_a_cone(catalogue: HatsCatalogue, stars: pa.Table) -> None:
    with warnings.catch_warnings(action="ignore"):  # its imports warn of other libraries
        import lsdb  # noqa: PLC0415 -- imported where its warnings are held
    opened = lsdb.open_catalog(catalogue.folder)
    cone = Cone(0.0, 90.0, 0.5)
    found = opened.cone_search(ra=cone.ra_deg, dec=cone.dec_deg, radius_arcsec=cone.radius_deg * 3600).compute()
    inside = cone.contains(stars["ra"].to_numpy(), stars["dec"].to_numpy())
    assert len(opened) == 20_000
    assert set(found["id"]) == set(stars["id"].to_numpy()[inside])


def test_a_footer_of_all_footers_names_every_file(catalogue: HatsCatalogue) -> None:
    footer = pq.read_metadata(catalogue.folder / "dataset" / "_metadata")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    assert footer.num_rows == 20_000
    assert {catalogue.folder / "dataset" / group.column(0).file_path for group in groups} == {
        part.path for part in catalogue.partitions
    }


@pytest.mark.parametrize(("ra", "dec"), [(None, 0.0), (0.0, None), (float("nan"), 0.0), (0.0, 90.5)])
def test_a_row_without_a_valid_position_is_refused_by_its_number(
    tmp_path: Path, ra: float | None, dec: float | None
) -> None:
    rows = pa.table({"ra": pa.array([1.0, ra], pa.float64()), "dec": pa.array([2.0, dec], pa.float64())})
    with pytest.raises(UsageError, match=r"Row 2 of catalogue 'sky\.stars' has no valid position"):
        write_catalogue(rows.to_batches(), tmp_path / "stars", _layout(rows.schema))


def test_a_catalogue_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no rows"):
        write_catalogue([], tmp_path / "stars", _layout(make_stars(1_000).schema))


def test_a_folder_that_is_no_catalogue_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"it has no partition_info\.csv"):
        _ = HatsCatalogue(tmp_path).partitions
    with pytest.raises(SetupError, match=r"it has no hats\.properties"):
        _ = HatsCatalogue(tmp_path).properties
    (tmp_path / "partition_info.csv").write_text("Norder,Npix\n0,one\n")
    with pytest.raises(SetupError, match="whole numbers"):
        _ = HatsCatalogue(tmp_path).partitions


def test_a_pixel_at_the_finest_order_is_never_split() -> None:
    counts = np.zeros(12 * 4**3, dtype=np.int64)
    counts[5], counts[700] = 1_000, 3
    assert choose_partitions(counts, max_rows=10) == ((3, 5, 1_000), (0, 10, 3))


def test_a_pixel_of_order_8_that_holds_too_many_is_split_further(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    ra, dec = 40 + random.uniform(0, 0.1, 5_000), random.uniform(-0.05, 0.05, 5_000)
    rows = pa.table({"ra": np.append(ra, np.full(900, 40.05)), "dec": np.append(dec, np.full(900, 0.01))})
    layout = CatalogueFormat(name="a.b", schema=rows.schema, ra_column="ra", dec_column="dec", partition_rows=300)
    partitions = write_catalogue(rows.to_batches(), tmp_path / "deep", layout)
    assert {part.order for part in partitions} >= {10, 11}
    assert {part.order for part in partitions if part.row_count > 300} == {11}
    assert max(part.row_count for part in partitions) >= 900
    assert sum(part.row_count for part in partitions) == 5_900
    assert HatsCatalogue(tmp_path / "deep").partitions == partitions
    assert is_valid_catalog(tmp_path / "deep", strict=True, verbose=False)


def test_blocks_of_any_size_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stars = make_stars(5_000)
    for name, block_bytes in (("one", 1 << 30), ("many", 20_000)):
        monkeypatch.setattr(workplace, "BLOCK_BYTES", block_bytes)
        write_catalogue(stars.to_batches(max_chunksize=77), tmp_path / name, _layout(stars.schema))
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert len(contents(tmp_path / "one")) > 5
