"""How much of a table is opened and filtered for a query, and that it is enough."""

from __future__ import annotations

import re
from itertools import accumulate

import pytest

from pachon.core.sky import Cone
from pachon.identity.models import ANONYMOUS
from pachon.queries.engines.duckdb_sql import write
from pachon.releases.models import Snapshot
from support.asking import Sky


def stars(sky: Sky) -> Snapshot:
    return sky.releases.snapshot(ANONYMOUS, "sky.stars")


def statement(sky: Sky, adql: str, *, max_rows: int | None = None) -> str:
    return write(sky.service().plan(ANONYMOUS, adql, max_rows=max_rows)).sql


def opened(sky: Sky, adql: str, *, max_rows: int | None = None) -> int:
    return len(set(re.findall(r"'[^']+\.parquet'", statement(sky, adql, max_rows=max_rows))))


def test_rows_taken_as_they_come_are_read_from_the_first_files_that_have_enough(sky: Sky) -> None:
    counts = [part.row_count for part in stars(sky).partitions]
    ends = list(accumulate(counts))
    assert len(counts) > 2
    everything = sky.ask("SELECT id FROM sky.stars", max_rows=ends[-1])["id"].to_pylist()
    for wanted in (1, ends[0], ends[0] + 1, ends[1] + 1):
        files = next(number for number, end in enumerate(ends, 1) if end >= wanted)
        assert opened(sky, f"SELECT TOP {wanted} id FROM sky.stars") == files
        assert sky.ask(f"SELECT TOP {wanted} id FROM sky.stars")["id"].to_pylist() == everything[:wanted]
    assert opened(sky, "SELECT id FROM sky.stars", max_rows=ends[0] - 1) == 1
    assert opened(sky, "SELECT id FROM sky.stars", max_rows=ends[0]) == 2, "one row more tells whether there are more"
    assert sky.ask("SELECT id FROM sky.stars", max_rows=ends[0])["id"].to_pylist() == everything[: ends[0]]
    assert sky.ask(f"SELECT TOP {ends[-1] + 9} id FROM sky.stars")["id"].to_pylist() == everything
    assert sky.ask("SELECT TOP 0 id FROM sky.stars")["id"].to_pylist() == []


def test_rows_that_are_skipped_count_as_read(sky: Sky) -> None:
    first, second, *_ = (part.row_count for part in stars(sky).partitions)
    everything = sky.ask("SELECT id FROM sky.stars", max_rows=sky.rows.num_rows)["id"].to_pylist()
    adql = f"SELECT TOP 3 id FROM sky.stars OFFSET {first + second - 1}"
    assert opened(sky, adql) == 3
    assert sky.ask(adql)["id"].to_pylist() == everything[first + second - 1 :][:3]


@pytest.mark.parametrize(
    "adql",
    [
        "SELECT TOP 1 id FROM sky.stars WHERE id > 0",
        "SELECT TOP 1 id FROM sky.stars ORDER BY id",
        "SELECT DISTINCT TOP 1 g_mag FROM sky.stars",
        "SELECT TOP 1 COUNT(*) AS n FROM sky.stars",
        "SELECT TOP 1 MIN(id) AS least FROM sky.stars GROUP BY g_mag",
        "SELECT TOP 1 a.id FROM sky.stars AS a JOIN sky.stars AS b ON a.id = b.id",
        "SELECT TOP 1 s.id FROM (SELECT id FROM sky.stars WHERE id > 0) AS s",
        "SELECT id FROM sky.stars UNION ALL SELECT id FROM sky.stars",
    ],
)
def test_what_needs_all_rows_to_know_the_first_opens_all_files(sky: Sky, adql: str) -> None:
    assert opened(sky, adql, max_rows=1) == len(stars(sky).partitions)


def test_a_query_within_is_read_as_far_as_its_own_top_says(sky: Sky) -> None:
    adql = "SELECT COUNT(*) AS n FROM (SELECT TOP 2 id FROM sky.stars) AS few"
    assert opened(sky, adql) == 1
    assert sky.ask(adql)["n"].to_pylist() == [2]


def test_a_cone_among_few_rows_is_filtered_by_one_range(sky: Sky) -> None:
    """Terms cost planning; where a gap between ranges holds hardly any row, they save nothing."""
    cone = Cone(123.4, -45.6, 1.0)
    adql = f"SELECT id FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE({cone.ra_deg}, {cone.dec_deg}, 1.0))"
    text = statement(sky, adql)
    assert len(re.findall(r'"_healpix_29" >=', text)) == 1
    assert "SELECT *" not in text
    inside = cone.contains(sky.column("ra"), sky.column("dec"))
    assert set(sky.ask(adql)["id"].to_pylist()) == set(sky.column("id")[inside].tolist())
