from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import pyvo
from lxml import etree, html

from pachon.queries.adql.functions import GEOMETRY
from pachon.queries.adql.udfs import USER_FUNCTIONS
from pachon.queries.estimate.models import TimeClass
from support.app import AS_HOLDER, DEFAULT_ROWS, MAX_ROWS, Site, running_site
from support.asking import example_call
from support.skies import FIRST_ID

TAP_TABLES = {
    "tap_schema.schemas",
    "tap_schema.tables",
    "tap_schema.columns",
    "tap_schema.keys",
    "tap_schema.key_columns",
}
UDF = "ivo://ivoa.net/std/TAPRegExt#features-udf"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("tap"))) as running:
        yield running


def rows(site: Site, adql: str, headers: dict[str, str] | None = None) -> list[dict[str, object]]:
    given = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "arrow"}
    answer = site.client.post("/api/tap/sync", data=given, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(pa.ipc.open_stream(answer.content).read_all().to_pylist())


def xml(answer: httpx.Response) -> etree._Element:
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)


def test_pyvo_reads_the_limits_the_formats_and_the_language(site: Site) -> None:
    tap = pyvo.dal.TAPService(f"{site.url}/api/tap")
    (language,) = tap.get_tap_capability().languages

    assert (tap.maxrec, tap.hardlimit) == (DEFAULT_ROWS, MAX_ROWS)
    assert {version.content for version in language.versions} == {"2.0", "2.1"}
    assert "application/vnd.apache.parquet" in {form.mime for form in tap.get_tap_capability().outputformats}
    assert {method.ivo_id.partition("#")[2] for method in tap.upload_methods} == {
        "upload-inline", "upload-http", "upload-https"
    }  # fmt: skip
    limit = tap.get_tap_capability().uploadlimit
    assert (limit.default.content, limit.hard.content) == (20_000_000, 2 * 1024**3)


def test_pyvo_reads_the_signatures_and_descriptions_of_the_functions(site: Site) -> None:
    language = pyvo.dal.TAPService(f"{site.url}/api/tap").get_tap_capability().get_adql()
    found = language.get_udf("ivo_hasword")
    assert found.form == "ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER"
    assert "as a word" in found.description
    declared = {feature.form.partition("(")[0].upper() for feature in language.get_feature_list(UDF)}
    assert declared == set(USER_FUNCTIONS)


def test_capabilities_tell_how_long_jobs_may_run_and_are_kept_and_name_no_way_to_log_in(site: Site) -> None:
    document = xml(site.client.get("/api/tap/capabilities"))

    addresses = [element.text for element in document.iter("accessURL")]
    limits = site.services.settings.jobs
    for name, default, hard in (
        ("executionDuration", limits.default_duration_s, limits.max_duration_s),
        ("retentionPeriod", limits.default_destruction_days * 86_400, limits.max_destruction_days * 86_400),
    ):
        (times,) = document.iter(name)
        assert [float(times.findtext(part) or "") for part in ("default", "hard")] == [default, hard]
    assert [etree.tostring(element) for element in document.iter("securityMethod")] == []
    assert all(address.startswith(f"{site.url}/api/tap") for address in addresses)


FORMS = {
    **{name: f"{name}(POINT(ra, dec), CIRCLE(0, 0, 1))" for name in ("CONTAINS", "INTERSECTS")},
    **{name: f"{name}(POINT(ra, dec))" for name in ("COORD1", "COORD2")},
    "POINT": "POINT(ra, dec)",
    "CIRCLE": "CIRCLE(ra, dec, 1)",
    "BOX": "CONTAINS(POINT(ra, dec), BOX(0, 0, 2, 2))",
    "POLYGON": "CONTAINS(POINT(ra, dec), POLYGON(0, 0, 1, 0, 0, 1))",
    "DISTANCE": "DISTANCE(POINT(ra, dec), POINT(0, 0))",
    "CENTROID": "CENTROID(CIRCLE(ra, dec, 1))",
    "AREA": "AREA(CIRCLE(ra, dec, 1))",
    "COORDSYS": "COORDSYS(POINT(ra, dec))",
    "REGION": "CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 0 0 1'))",
    "LOWER": "LOWER(name)",
    "UPPER": "UPPER(name)",
    "CAST": "CAST(id AS DOUBLE PRECISION)",
    "COALESCE": "COALESCE(name, 'none')",
    "IN_UNIT": "IN_UNIT(ra, 'rad')",
}
STATEMENTS = {
    "ILIKE": "SELECT TOP 1 id AS x FROM sky.stars WHERE name ILIKE 'star%'",
    "WITH": "WITH t AS (SELECT id AS x FROM sky.stars) SELECT TOP 1 x FROM t",
    "UNION": "SELECT 1 AS x FROM tap_schema.schemas UNION SELECT 2 AS x FROM tap_schema.schemas",
    "EXCEPT": "SELECT 1 AS x FROM tap_schema.schemas EXCEPT SELECT 2 AS x FROM tap_schema.schemas",
    "INTERSECT": "SELECT 1 AS x FROM tap_schema.schemas INTERSECT SELECT 1 AS x FROM tap_schema.schemas",
    "OFFSET": "SELECT TOP 1 id AS x FROM sky.stars ORDER BY id OFFSET 3",
}


def test_every_declared_feature_of_the_language_runs(site: Site) -> None:
    document = xml(site.client.get("/api/tap/capabilities"))
    declared = {element.text for element in document.iter("form")}

    assert declared >= GEOMETRY
    for form in declared:
        adql = (
            STATEMENTS.get(form)
            or f"SELECT TOP 1 {example_call(form) if '->' in form else FORMS[form]} AS x FROM sky.stars"
        )
        assert len(rows(site, adql)) >= 1, form


def test_pyvo_lists_tables_and_their_columns(site: Site) -> None:
    tables = pyvo.dal.TAPService(f"{site.url}/api/tap").tables

    assert set(tables.keys()) == {"sky.stars", *TAP_TABLES}
    columns = {column.name: column for column in tables["sky.stars"].columns}
    assert (columns["ra"].ucd, columns["ra"].unit, columns["ra"].datatype.content) == (
        "pos.eq.ra;meta.main",
        "deg",
        "double",
    )
    assert columns["epoch"].datatype.arraysize == "*"
    assert [key.targettable for key in tables["tap_schema.columns"].foreignkeys] == ["tap_schema.tables"]


def test_detail_min_leaves_the_columns_out(site: Site) -> None:
    least, most = (xml(site.client.get("/api/tap/tables", params={"DETAIL": detail})) for detail in ("min", "MAX"))

    assert list(least.iter("column")) == []
    assert len(list(most.iter("column"))) > 30
    assert {name.text for name in least.iterfind(".//table/name")} == {"sky.stars", *TAP_TABLES}
    assert site.client.get("/api/tap/tables?detail=some").status_code == 400


def test_one_table_is_told_by_its_name_in_any_case(site: Site) -> None:
    assert xml(site.client.get("/api/tap/tables/Sky.STARS")).findtext("name") == "sky.stars"
    assert xml(site.client.get("/api/tap/tables/tap_schema.columns")).findtext("name") == "tap_schema.columns"

    unknown = site.client.get("/api/tap/tables/sky.strs")
    assert unknown.status_code == 404
    assert "There is no table 'sky.strs'; did you mean sky.stars" in unknown.text


def test_tap_schema_describes_what_is_there_and_itself(site: Site) -> None:
    tables = {row["table_name"]: row for row in rows(site, "SELECT * FROM tap_schema.tables")}
    told = "column_name, datatype, arraysize, xtype, unit, ucd, principal, std"
    columns = rows(site, f"SELECT {told} FROM tap_schema.columns WHERE table_name = 'sky.stars'")
    named = {row["column_name"]: list(row.values())[1:] for row in columns}

    assert set(tables) == {"sky.stars", *TAP_TABLES}
    assert tables["sky.stars"]["nrows"] == 20_000
    assert list(named) == site.stars.column_names
    assert named["epoch"] == ["char", "*", "timestamp", None, "time.epoch", 0, 0]
    assert named["ra"] == ["double", None, None, "deg", "pos.eq.ra;meta.main", 1, 0]
    quoted = rows(site, """SELECT "size" AS x FROM tap_schema.columns WHERE column_name = '"size"'""")
    assert quoted == [{"x": None}]


def test_value_ranges_are_told_once_they_are_learnt_and_are_exact(site: Site) -> None:
    adql = "SELECT column_name, min_value, max_value FROM tap_schema.columns WHERE table_name = 'sky.stars'"
    deadline = time.monotonic() + 30
    while all(row["max_value"] is None for row in rows(site, adql)):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    told = {row["column_name"]: (row["min_value"], row["max_value"]) for row in rows(site, adql)}
    for name in ("ra", "dec", "g_mag", "r_mag"):
        ends = pc.min_max(site.stars[name]).as_py()
        assert told[name] == (ends["min"], ends["max"]), name
    assert told["id"] == (float(FIRST_ID), float(FIRST_ID + site.stars.num_rows - 1))
    assert told["name"] == told["epoch"] == told["is_variable"] == (None, None)


def test_tables_tell_their_numbers_of_rows(site: Site) -> None:
    document = xml(site.client.get("/api/tap/tables", params={"detail": "min"}))

    told = {table.findtext("name"): table.findtext("nrows") for table in document.iter("table")}
    assert told["sky.stars"] == "20000"
    assert told["tap_schema.tables"] is None


def test_closed_releases_are_described_to_holders_only(site: Site) -> None:
    for adql in (
        "SELECT schema_name AS x FROM tap_schema.schemas",
        "SELECT table_name AS x FROM tap_schema.tables",
        "SELECT table_name AS x FROM tap_schema.columns",
    ):
        names = ({str(row["x"]) for row in rows(site, adql, headers)} for headers in (None, AS_HOLDER))
        seen_by_all, seen_by_holders = ({name for name in found if name.startswith("future")} for found in names)
        assert not seen_by_all
        assert len(seen_by_holders) == 1
    for path in ("tables", "examples"):
        assert "future" not in site.client.get(f"/api/tap/{path}").text
        assert "future.stars" in site.client.get(f"/api/tap/{path}", headers=AS_HOLDER).text
    assert site.client.get("/api/tap/tables/future.stars").status_code == 404


def test_every_example_on_the_page_runs(site: Site) -> None:
    page = html.fromstring(site.client.get("/api/tap/examples").content)
    examples = page.xpath("//*[@typeof='example']")

    assert len(examples) >= 4
    assert len({example.get("id") for example in examples}) == len(examples)
    for example in examples:
        assert example.get("resource") == f"#{example.get('id')}"
        assert example.xpath(".//*[@property='name']/text()")
        (adql,) = example.xpath(".//*[@property='query']/text()")
        assert isinstance(rows(site, adql), list)


def test_capabilities_tell_strangers_that_they_may_log_in(site: Site) -> None:
    stranger, known = (site.client.head("/api/tap/capabilities", headers=headers) for headers in (None, AS_HOLDER))

    assert (stranger.status_code, stranger.content) == (200, b"")
    assert len(stranger.headers.get_list("www-authenticate")) == 2
    assert "x-vo-authenticated" not in stranger.headers
    assert known.headers.get_list("www-authenticate") == []
    assert known.headers["x-vo-authenticated"] == "novice"


def test_the_service_is_available(site: Site) -> None:
    document = xml(site.client.get("/api/tap/availability"))

    assert document.findtext("{*}available") == "true"
    assert datetime.fromisoformat(str(document.findtext("{*}upSince"))) <= datetime.now(tz=UTC)


def test_availability_says_which_queries_have_no_workers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for broken in ((TimeClass.HEAVY,), (TimeClass.SHORT, TimeClass.HEAVY)):
        monkeypatch.setattr(site.services.engine, "broken", lambda broken=broken: broken)
        document = xml(site.client.get("/api/tap/availability"))
        found.append((document.findtext("{*}available"), [str(note.text) for note in document.findall("{*}note")]))
        assert "do not start" in site.client.get("/api/status").json()["parts"]["workers"]
    assert [available for available, _ in found] == ["true", "false"]
    assert [[note.split()[4] for note in notes] for _, notes in found] == [["heavy"], ["short", "heavy"]]
