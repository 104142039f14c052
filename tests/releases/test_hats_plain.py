"""Tables without positions are answered from all their files, whatever part of the sky a query names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pachon.core.errors import SetupError, UsageError
from pachon.core.fields import arrow_schema
from pachon.queries.adql.bind import Catalogue, bind
from pachon.queries.engines.duckdb_sql import write
from pachon.queries.engines.duckdb_worker import connect
from pachon.releases.hats.plain import PlainBuild
from pachon.releases.hats.reader import HatsCatalogue, overlapping
from pachon.releases.models import Snapshot
from support.imports import NO_SKY
from support.skies import make_stars

SCHEMA = arrow_schema(tuple(column.field for column in NO_SKY.columns))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "table"
    build = PlainBuild(path, "sky.stars", SCHEMA, part_rows=700)
    build.add(iter(make_stars(3_000).cast(SCHEMA).to_batches(max_chunksize=333)))
    build.finish()
    return path


def test_a_region_leaves_out_no_file_of_a_table_without_positions(folder: Path) -> None:
    snapshot = Snapshot(NO_SKY, HatsCatalogue(folder).partitions)
    catalogue = Catalogue({"sky.stars": NO_SKY}, lambda _: snapshot)
    plan = bind("SELECT id FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 10, 1)) ORDER BY id", catalogue)
    statement = write(plan).sql
    assert all(str(part.path) in statement for part in snapshot.partitions)
    config = {"folders": [str(folder)], "temp_folder": "", "threads": 1, "memory_bytes": 1 << 30, "temp_bytes": 0}
    found = connect(config).sql(statement).to_arrow_reader(65_536).read_all()
    stars = make_stars(3_000)
    away_deg = np.hypot((stars["ra"].to_numpy() + 180) % 360 - 180, stars["dec"].to_numpy() - 10)
    assert 200 < found.num_rows < 1_000
    assert set(stars["id"].to_numpy()[away_deg < 0.98]) <= set(found.column(0).to_numpy())


def test_every_file_may_hold_any_part_of_the_sky(folder: Path) -> None:
    partitions = HatsCatalogue(folder).partitions
    assert [part.row_count for part in partitions] == [700, 700, 700, 700, 200]
    assert overlapping(partitions, np.array([[5, 6]], dtype=np.int64)) == partitions


def test_it_is_no_hats_catalogue_and_has_no_rows_before_it_is_listed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"it has no hats\.properties"):
        _ = HatsCatalogue(folder).properties
    build = PlainBuild(tmp_path / "table", "sky.stars", SCHEMA, part_rows=700)
    with pytest.raises(SetupError, match=r"it has no partition_info\.csv"):
        _ = HatsCatalogue(tmp_path / "table").partitions
    with pytest.raises(UsageError, match=r"'sky\.stars' has no rows"):
        build.finish()
    assert not list((tmp_path / "table").iterdir())
