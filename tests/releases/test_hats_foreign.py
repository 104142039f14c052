"""Catalogues that `hats-import` wrote, without margin and density map, are read and served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pachon.core.errors import SetupError
from pachon.core.fields import arrow_schema
from pachon.core.healpix import cone_index_ranges, pixel_of
from pachon.core.sky import Cone
from pachon.queries.engines.duckdb_sql import write
from pachon.queries.engines.duckdb_worker import connect
from pachon.queries.service import cone_plan
from pachon.releases.hats.reader import HatsCatalogue, overlapping
from pachon.releases.importing import import_table
from pachon.releases.models import Snapshot
from support.imports import STARS, contents
from support.skies import make_stars

ROWS = 8_000
_SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
from dask.distributed import Client
from hats_import.collection.arguments import CollectionArguments
from hats_import.pipeline import pipeline_with_client
source, folder, temporary = sys.argv[1:]
rows = dict(ra_column="ra", dec_column="dec", pixel_threshold=3_000, highest_healpix_order=6, should_write_skymap=False)
collection = (
    CollectionArguments(output_artifact_name="sky", output_path=folder, tmp_dir=temporary, progress_bar=False)
    .catalog(input_file_list=[source], file_reader="parquet", output_artifact_name="stars", **rows)
)
with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
    pipeline_with_client(collection, client)
"""


@pytest.fixture(scope="module")
def stars() -> pa.Table:
    return make_stars(ROWS).cast(arrow_schema(tuple(column.field for column in STARS.columns)))


@pytest.fixture(scope="module")
def foreign(stars: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue collection with one catalogue."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "temporary").mkdir()
    pq.write_table(stars, folder / "stars.parquet")
    arguments = [str(folder / name) for name in ("stars.parquet", "catalogues", "temporary")]
    subprocess.run([sys.executable, "-c", _SCRIPT, *arguments], capture_output=True, timeout=240, check=True)
    return folder / "catalogues" / "sky"


def test_row_counts_come_from_the_footers_and_the_density_from_the_rows(foreign: Path, stars: pa.Table) -> None:
    before = contents(foreign)
    for folder in (foreign, foreign / "stars"):
        catalogue = HatsCatalogue(folder)
        assert "num_rows" not in (foreign / "stars" / "partition_info.csv").read_text()
        assert catalogue.row_count == ROWS
        assert all(part.row_count == pq.read_metadata(part.path).num_rows for part in catalogue.partitions)
        pixels = pixel_of(stars["ra"].to_numpy(), stars["dec"].to_numpy(), order=8)
        assert (catalogue.density() == np.bincount(pixels, minlength=12 * 4**8)).all()
    assert contents(foreign) == before


def test_a_cone_on_it_finds_the_same_rows_as_on_our_own_catalogue(
    foreign: Path, stars: pa.Table, tmp_path: Path
) -> None:
    pq.write_table(stars, tmp_path / "stars.parquet")
    import_table([tmp_path / "stars.parquet"], STARS, tmp_path / "own", partition_rows=1_000)
    cone = Cone(0.0, 10.0, 0.7)
    inside = cone.contains(stars["ra"].to_numpy(), stars["dec"].to_numpy())
    expected = stars.filter(pa.array(inside)).sort_by("id").to_pylist()
    assert len(expected) > 100
    for folder in (foreign, tmp_path / "own"):
        partitions = HatsCatalogue(folder).partitions
        assert len(overlapping(partitions, cone_index_ranges(cone))) < len(partitions)
        plan = cone_plan(Snapshot(STARS, partitions), cone, columns=None, max_rows=100_000)
        config = {"folders": [str(folder.resolve())], "temp_folder": "", "threads": 1, "memory_bytes": 1 << 30}
        found = connect({**config, "temp_bytes": 0}).sql(write(plan).sql).to_arrow_reader(65_536).read_all()
        rows = found.rename_columns(stars.column_names).sort_by("id").to_pylist()
        assert rows == expected


def test_what_the_other_writer_left_unfinished_is_refused(foreign: Path, tmp_path: Path) -> None:
    catalogue = foreign / "stars"
    copy = tmp_path / "stars"
    copy.mkdir()
    (copy / "dataset").symlink_to(catalogue / "dataset")
    (copy / "partition_info.csv").write_text((catalogue / "partition_info.csv").read_text())
    with pytest.raises(SetupError, match=r"not a complete HATS catalogue: it has no hats\.properties"):
        _ = HatsCatalogue(copy).partitions
    properties = (catalogue / "hats.properties").read_text()
    (copy / "hats.properties").write_text(properties.replace(f"hats_nrows={ROWS}", f"hats_nrows={ROWS + 1}"))
    with pytest.raises(SetupError, match=f"it has {ROWS} rows, hats_nrows says {ROWS + 1}"):
        _ = HatsCatalogue(copy).partitions
    (copy / "hats.properties").write_text(properties.replace("hats_npix_suffix=.parquet", "hats_npix_suffix=/"))
    with pytest.raises(SetupError, match="keeps folders for partitions"):
        _ = HatsCatalogue(copy).partitions
    (copy / "hats.properties").write_text(properties)
    (copy / "partition_info.csv").write_text("Norder,Npix\n5,3\n")
    with pytest.raises(SetupError, match="missing or not a Parquet file"):
        _ = HatsCatalogue(copy).partitions


@pytest.mark.parametrize("primary", ["", "../stars"])
def test_a_collection_that_names_no_catalogue_of_its_own_is_refused(tmp_path: Path, primary: str) -> None:
    (tmp_path / "collection.properties").write_text(f"obs_collection=sky\nhats_primary_table_url={primary}\n")
    with pytest.raises(SetupError, match="must name a folder beside it"):
        _ = HatsCatalogue(tmp_path).partitions
