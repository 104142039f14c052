"""Estimates of a small sky, whose sample is the whole sky: conditions are counted as the engine counts them."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from pachon.core.errors import QuerySyntaxError, UnavailableError
from pachon.core.fields import arrow_schema
from pachon.core.sky import separation_deg
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import Catalogue, bind
from pachon.queries.estimate.models import Confidence, Fate, Load, TimeClass
from pachon.queries.estimate.service import Estimator as PlanEstimator
from pachon.queries.estimate.statistics import StatisticsStore
from pachon.queries.models import QueryLimits
from pachon.releases.hats.plain import PlainBuild
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.models import Snapshot
from support.asking import Sky
from support.estimates import Estimator, estimator
from support.imports import NO_SKY
from support.skies import FIRST_ID, make_release, make_stars
from support.stores import snapshot_of

CONDITIONS = (
    "g_mag + r_mag > 40",
    "g_mag - r_mag BETWEEN 0.2 AND 0.5",
    "g_mag * 2 < 35 OR NOT r_mag / 2 > 9",
    "-dec > 10",
    f"MOD(id - {FIRST_ID}, 7) = 3",
    "MOD(dec, 2.5) > 1",
    f"(id - {FIRST_ID}) / 100 = 17",
    "ABS(dec) < 10 AND FLOOR(ra) = 12",
    "CEILING(r_mag) = 20",
    "ROUND(g_mag, 1) = 20.5",
    "TRUNCATE(g_mag, 1) = 20.5",
    "SQRT(dec) > 3",
    "POWER(g_mag, 2) < 300 AND EXP(r_mag - 20) < 1",
    "LOG(g_mag - 20) > 1 OR LOG10(g_mag - 20) > 0.7",
    "SIN(RADIANS(ra)) > 0.5 AND COS(RADIANS(dec)) > 0.5 AND TAN(RADIANS(dec)) > 0",
    "DEGREES(ATAN2(dec, ra)) > 45 OR ATAN(dec) > 1.5",
    "ACOS(dec / 90) < 0.2 OR ASIN(dec / 90) > 1.4",
    "COT(RADIANS(dec)) > PI()",
    "COALESCE(g_mag, 99) > 25",
    "name || '!' = 'Star 17!'",
    "UPPER(name) LIKE 'STAR 1_'",
    "name ILIKE 'sTaR 2%'",
    "name NOT IN ('Star 1', 'Star 2')",
    f"id IN ({FIRST_ID + 1}, {FIRST_ID + 3}, 7)",
    "name IS NULL OR g_mag IS NULL AND is_variable IS NOT NULL",
    "epoch < '2026-03-01T00:00:00'",
    "CAST(g_mag AS INTEGER) = 17",
    "CAST(r_mag AS VARCHAR(20)) LIKE '1%'",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 90, 0.5))",
    "0 = CONTAINS(POINT(ra, dec), BOX(0, 10, 2, 1))",
    "1 = CONTAINS(POINT(ra, dec), POLYGON(358, 8, 2, 8, 2, 12, 358, 12))",
    "DISTANCE(POINT(ra, dec), POINT(0, -90)) < 0.7",
    "1 = INTERSECTS(CIRCLE(ra, dec, 0.5), CIRCLE(0, 10, 1))",
)
STARS = "SELECT id FROM sky.stars"


@pytest.fixture(scope="module")
def small(sky: Sky, tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return estimator(sky.root, tmp_path_factory.mktemp("statistics") / "kept")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_table_that_fits_its_sample_is_counted_as_the_engine_counts(
    small: Estimator, sky: Sky, condition: str
) -> None:
    found = small.estimate(f"{STARS} WHERE {condition}")
    rows = sky.ask(f"{STARS} WHERE {condition}").num_rows
    assert 0 < rows < sky.rows.num_rows
    assert (found.rows, found.confidence) == (rows, Confidence.EXACT)


def test_a_query_without_bounds_on_its_pairs_is_heavy_and_says_its_cost(small: Estimator) -> None:
    pairs = "SELECT COUNT(*) FROM sky.stars AS a, sky.stars AS b, sky.stars AS c"
    found = small.estimate(pairs)
    assert found.time_class is TimeClass.HEAVY
    assert "12,000" in found.reasons[0]
    assert "1.7e+12 pairs" in found.reasons[0]
    assert small.load(pairs).time_class is TimeClass.HEAVY


@pytest.mark.parametrize(
    "adql",
    [
        f"{STARS} WHERE id = {FIRST_ID}",
        "SELECT COUNT(*) FROM sky.stars AS a, sky.stars AS b WHERE a.id = b.id",
        "SELECT TOP 10 a.id FROM sky.stars AS a, sky.stars AS b",
        "SELECT a.id FROM sky.stars AS a, sky.stars AS b WHERE a.id = 5 AND b.g_mag < 15",
        "SELECT a.id FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 1/3600.",
    ],
)
def test_keys_constants_and_a_few_rows_keep_a_query_short(small: Estimator, adql: str) -> None:
    found = small.estimate(adql)
    assert (found.time_class, found.reasons) == (TimeClass.SHORT, ())


def test_a_query_that_would_outlast_its_time_is_told_beforehand(small: Estimator) -> None:
    adql = f"SELECT COUNT(*) FROM sky.stars AS a, sky.stars AS b, sky.stars AS c WHERE c.id < {FIRST_ID + 100}"
    found, outlook = small.service.estimate(ANONYMOUS, adql)
    assert found.seconds > 60
    assert (outlook.fate, outlook.position, outlook.wait_s) == (Fate.QUEUE, 1, 0)
    assert re.search(
        r"longer than the 60 s .* as a job at /api/tap/async, .* rows is paired .* 1st in line", outlook.explanation
    )
    assert small.service.estimate(ANONYMOUS, STARS)[1].fate is Fate.RUN


def test_a_query_that_would_outlast_any_job_is_told_to_be_narrowed(small: Estimator) -> None:
    adql = "SELECT COUNT(*) FROM sky.stars AS a, sky.stars AS b, sky.stars AS c WHERE a.ra + b.ra + c.ra > 1e9"
    outlook = small.service.estimate(ANONYMOUS, adql)[1]
    assert (outlook.fate, outlook.position) == (Fate.REFUSE, 0)
    assert "longer than any job may run (4 h): narrow it." in outlook.explanation
    assert "as a job" not in outlook.explanation


@pytest.mark.parametrize(("seconds", "is_tried"), [(65, True), (179, True), (181, False)])
def test_a_query_is_refused_only_if_it_is_clearly_too_long(seconds: float, is_tried: bool) -> None:  # noqa: FBT001 -- a case
    assert (QueryLimits(sync_timeout_s=60).too_long(Load(seconds=seconds)) is None) is is_tried
    assert QueryLimits(sync_timeout_s=60).too_long(Load(seconds=seconds, is_rough=True)) is None


def test_maxrec_bounds_the_rows_and_the_overflow_is_foreseen(small: Estimator) -> None:
    bounded, free = small.estimate(STARS, max_rows=100), small.estimate(STARS)
    assert (bounded.rows, bounded.overflow) == (100, True)
    assert (free.rows, free.overflow) == (12_000, False)
    assert bounded.bytes_scanned < free.bytes_scanned


@pytest.mark.parametrize(
    "adql",
    [
        "SELECT id FROM sky.stars WHERE id IN (SELECT id FROM sky.stars WHERE g_mag < 20)",
        "SELECT id FROM sky.stars WHERE RAND() < 0.5",
        "SELECT q.id FROM (SELECT TOP 100 id, g_mag FROM sky.stars ORDER BY g_mag) AS q WHERE q.g_mag < 15",
    ],
)
def test_a_guess_is_never_called_exact(small: Estimator, adql: str) -> None:
    assert small.estimate(adql).confidence is not Confidence.EXACT


def test_many_tables_side_by_side_are_estimated_quickly_and_without_overflow(small: Estimator) -> None:
    nine = "(SELECT t0.g_mag FROM " + ", ".join(f"sky.stars AS t{number}" for number in range(9)) + ")"
    many = ", ".join(f"{nine} AS q{number}" for number in range(5))
    start = time.perf_counter()
    found = small.estimate(f"SELECT q0.g_mag FROM {many} WHERE q0.g_mag < q1.g_mag")
    assert time.perf_counter() - start < 5
    assert (found.time_class, found.overflow) == (TimeClass.HEAVY, True)


def test_fewer_columns_and_a_smaller_region_are_fewer_bytes(small: Estimator) -> None:
    region = " FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(100, 40, 1))"
    sizes = [
        small.estimate(adql).bytes_scanned
        for adql in ("SELECT * FROM sky.stars", "SELECT *" + region, "SELECT id" + region)
    ]
    assert sizes == sorted(set(sizes), reverse=True)
    assert small.estimate("SELECT COUNT(*) FROM sky.stars").bytes_scanned == 0


def test_a_table_without_positions_is_estimated_from_all_its_files(tmp_path: Path) -> None:
    schema = arrow_schema(tuple(column.field for column in NO_SKY.columns))
    build = PlainBuild(tmp_path / "table", "sky.stars", schema, part_rows=700)
    build.add(iter(make_stars(3_000).cast(schema).to_batches(max_chunksize=333)))
    build.finish()
    snapshot = Snapshot(NO_SKY, HatsCatalogue(tmp_path / "table").partitions)
    known = StatisticsStore(tmp_path / "statistics", lambda _: HatsCatalogue(tmp_path / "table"))
    catalogue = Catalogue({"sky.stars": NO_SKY}, lambda _: snapshot)
    service = PlanEstimator(known)
    inside = "SELECT id FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 10, 1))"
    stars = make_stars(3_000)
    near = separation_deg(stars["ra"].to_numpy(), stars["dec"].to_numpy(), 0.0, 10.0) <= 1
    found = service.estimate_plan(bind(inside, catalogue))
    assert (found.rows, found.rows_scanned) == (int(near.sum()), 3_000)


def test_a_table_that_may_not_be_read_is_refused_as_one_that_is_not_there(small: Estimator) -> None:
    def refusal(table: str) -> str:
        with pytest.raises(QuerySyntaxError) as refused:
            small.estimate(f"SELECT ra FROM {table}.stars")
        return str(refused.value).replace(table, "?")

    assert refusal("secret") == refusal("sacred")


def test_statistics_are_for_the_service_alone_and_go_with_their_release(tmp_path: Path) -> None:
    releases, kept = tmp_path / "releases", tmp_path / "statistics"
    for name in ("sky", "deep"):
        make_release(releases, release_id=name, rows=3_000)
    known = estimator(releases, kept)
    tables = [snapshot_of(known.store, f"{name}.stars") for name in ("sky", "deep")]
    for table in tables:
        known.statistics.of(table)
    first = {folder.name for folder in kept.iterdir()}
    assert kept.stat().st_mode & 0o077 == 0
    assert {name.partition("-")[0] for name in first} == {"sky.stars", "deep.stars"}

    make_release(releases, release_id="sky", rows=500)
    known.statistics.of(snapshot_of(known.store, "sky.stars"))
    known.statistics.keep_only([snapshot_of(known.store, "sky.stars")])
    (second,) = (folder.name for folder in kept.iterdir())
    assert second not in first
    assert known.estimate(STARS).rows == 500


def test_files_that_cannot_be_read_are_a_reason_to_try_again(tmp_path: Path) -> None:
    make_release(tmp_path / "releases", release_id="sky", rows=500)
    broken = estimator(tmp_path / "releases", tmp_path / "statistics")
    snapshot = snapshot_of(broken.store, "sky.stars")
    for part in snapshot.partitions:
        part.path.write_bytes(b"PAR1 but not Parquet")
    with pytest.raises(UnavailableError, match=r"sky\.stars could not be read"):
        broken.estimate(STARS)
    assert list((tmp_path / "statistics").iterdir()) == []
    shutil.rmtree(tmp_path / "releases")


@pytest.mark.parametrize("cut", ["", " AND a.ra < 200", " AND b.g_mag < 18", " AND a.ra < 100 AND b.dec > 0"])
def test_rows_that_meet_themselves_do_not_make_a_join_by_position_dear(small: Estimator, cut: str) -> None:
    adql = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.0001"
    found, whole = small.estimate(adql + cut), small.estimate(adql)
    assert found.time_class is TimeClass.SHORT
    assert found.seconds <= whole.seconds * 1.2
    met = adql.replace("COUNT(*) AS n", "a.id, b.id AS other") + cut
    assert small.estimate(met).rows <= 12_500
    assert small.estimate(f"{met} AND a.id <> b.id").rows < 1_000
