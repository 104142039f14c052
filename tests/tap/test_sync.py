from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from starlette.responses import Response

from pachon.core.sky import Cone
from pachon.queries.models import Phase
from support.app import AS_HOLDER, AS_NO_SCOPE, AS_VISITOR, DEFAULT_ROWS, HOLDER, MAX_ROWS, Site, running_site

CONES = {
    "north pole": (10.0, 89.99, 0.5),
    "south pole": (200.0, -89.9, 0.7),
    "across RA 0": (359.95, 5.0, 3.0),
    "plain": (120.0, -30.0, 8.0),
    "nothing there": (123.456, 45.678, 1e-6),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("tap"))) as running:
        yield running


def ask(site: Site, adql: str, headers: dict[str, str] | None = None, **more: str) -> httpx.Response:
    return site.client.post("/api/tap/sync", data={"LANG": "ADQL", "QUERY": adql, **more}, headers=headers)


def infos(answer: httpx.Response) -> dict[str, str]:
    document = parse(io.BytesIO(answer.content))
    return {info.name: info.content or info.value for info in document.resources[0].infos}


def arrow(answer: httpx.Response) -> pa.Table:
    assert answer.status_code == 200, answer.text
    return pa.ipc.open_stream(answer.content).read_all()


def refusal(answer: httpx.Response) -> str:
    document = parse(io.BytesIO(answer.content))
    (status,) = [info for info in document.resources[0].infos if info.name == "QUERY_STATUS"]
    assert status.value == "ERROR"
    return str(status.content)


@pytest.mark.parametrize("place", CONES)
def test_pyvo_finds_exactly_the_rows_that_brute_force_finds(site: Site, place: str) -> None:
    ra_deg, dec_deg, radius_deg = CONES[place]
    stars = site.stars.to_pydict()
    inside = Cone(ra_deg, dec_deg, radius_deg).contains(np.array(stars["ra"]), np.array(stars["dec"]))
    expected = {stars["id"][n]: (stars["name"][n] or "", stars["is_variable"][n]) for n in np.flatnonzero(inside)}
    circle = f"CIRCLE('ICRS', {ra_deg}, {dec_deg}, {radius_deg})"

    found = pyvo.dal.TAPService(f"{site.url}/api/tap").search(
        f"SELECT id, name, is_variable FROM sky.stars WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), {circle})"
    )

    assert {int(row["id"]): (row["name"], bool(row["is_variable"])) for row in found} == expected
    assert len(found) == len(expected)
    assert bool(expected) is (place != "nothing there")


def test_rows_are_exact_in_every_type(site: Site) -> None:
    expected = {row["id"]: row for row in site.stars.to_pylist()}

    got = arrow(ask(site, "SELECT TOP 500 * FROM sky.stars", responseformat="arrow")).to_pylist()

    assert len(got) == 500
    assert [row for row in got if row != expected[row["id"]]] == []


def test_get_and_post_answer_alike_whatever_the_case_of_names(site: Site) -> None:
    query = {"lang": "ADQL", "QuErY": "SELECT COUNT(*) AS n FROM sky.stars", "request": "doQuery", "format": "csv"}

    by_get = site.client.get("/api/tap/sync", params={**query, "unknown": "ignored"})
    by_post = site.client.post("/api/tap/sync", data=query)
    by_parts = site.client.post("/api/tap/sync", files={name: (None, value) for name, value in query.items()})

    assert by_get.text == by_post.text == by_parts.text == "n\r\n20000\r\n"


def test_the_same_rows_come_in_every_format(site: Site) -> None:
    adql = "SELECT TOP 50 id, ra, name FROM sky.stars ORDER BY id"
    expected = arrow(ask(site, adql, responseformat="arrow")).to_pylist()

    parquet = pq.read_table(io.BytesIO(ask(site, adql, responseformat="parquet").content)).to_pylist()
    told = ask(site, adql, responseformat="json").json()
    votables = [parse(io.BytesIO(ask(site, adql, responseformat=name).content)) for name in ("votable", "votable/td")]

    assert parquet == expected
    assert [[int(row[0]), row[1], row[2]] for row in told["data"]] == [list(row.values()) for row in expected]
    for document in votables:
        rows = document.get_first_table().array
        assert [(int(row["id"]), float(row["ra"]), row["name"] or None) for row in rows] == [
            tuple(row.values()) for row in expected
        ]


def test_texts_are_wide_where_nothing_promises_that_they_are_ascii(site: Site) -> None:
    columns = "name, name AS other, UPPER(name) AS upper_name, name || ' ' || 'x' AS pair, MIN(name) AS least"

    answer = ask(site, f"SELECT TOP 1 {columns} FROM sky.stars GROUP BY name")

    fields = parse(io.BytesIO(answer.content)).get_first_table().fields
    assert [field.datatype for field in fields] == ["char", "char", "unicodeChar", "unicodeChar", "unicodeChar"]


def test_more_columns_than_fits_can_hold_are_refused_before_the_answer_begins(site: Site) -> None:
    columns = ", ".join(f"id AS c{n}" for n in range(1_000))

    refused = ask(site, f"SELECT TOP 1 {columns} FROM sky.stars", RESPONSEFORMAT="fits")

    assert refused.status_code == 400
    assert refusal(refused).startswith("FITS holds at most 999 columns, not 1000; choose fewer, or votable or parquet.")
    assert ask(site, f"SELECT TOP 1 {columns} FROM sky.stars").status_code == 200


def test_more_rows_than_the_limits_allow_are_an_overflow(site: Site) -> None:
    by_default = ask(site, "SELECT id FROM sky.stars", responseformat="votable")
    at_most = ask(site, "SELECT id FROM sky.stars", MAXREC="999999")
    enough = ask(site, "SELECT TOP 7 id FROM sky.stars", MAXREC="7")
    too_few = ask(site, "SELECT TOP 8 id FROM sky.stars", MAXREC="7")

    assert len(parse(io.BytesIO(by_default.content)).get_first_table().array) == DEFAULT_ROWS
    assert len(parse(io.BytesIO(at_most.content)).get_first_table().array) == MAX_ROWS
    statuses = [infos(answer)["QUERY_STATUS"] for answer in (by_default, at_most, enough, too_few)]
    assert [status == "OK" for status in statuses] == [False, False, True, False]
    assert b'value="OVERFLOW"' in too_few.content


def test_maxrec_zero_and_empty_answers_describe_their_columns(site: Site) -> None:
    for answer in (
        ask(site, "SELECT ra, name FROM sky.stars", MAXREC="0"),
        ask(site, "SELECT ra, name FROM sky.stars WHERE ra < -1"),
    ):
        table = parse(io.BytesIO(answer.content)).get_first_table()
        assert [(field.name, field.ucd) for field in table.fields] == [
            ("ra", "pos.eq.ra;meta.main"),
            ("name", "meta.id"),
        ]
        assert len(table.array) == 0


def test_the_answer_echoes_what_was_asked(site: Site) -> None:
    answer = ask(site, "SELECT TOP 1 id FROM sky.stars", RUNID="my <run> & more")

    told = infos(answer)
    assert (told["RUNID"], told["QUERY"]) == ("my <run> & more", "SELECT TOP 1 id FROM sky.stars")
    assert told["EXECUTION"] == answer.headers["X-Pachon-Execution"]


def test_what_a_query_hardly_means_is_told_beside_its_rows(site: Site) -> None:
    adql = "SELECT TOP 1 id FROM sky.stars WHERE name = NULL OR 2/3600 < dec"
    answer = ask(site, adql)
    written = parse(io.BytesIO(answer.content)).resources[0].infos
    warnings = [info.value for info in written if info.name == "warning"]
    assert [warning.partition(": ")[0] for warning in warnings] == ["line 1, column 38", "line 1, column 53"]
    assert ["IS NULL" in warnings[0], "2/3600.0" in warnings[1]] == [True, True]
    assert ask(site, adql, RESPONSEFORMAT="json").json()["info"]["warning"] == "\n".join(warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"QUERY": "SELECT * FROM sky.strs"}, "line 1, column 15: unknown table 'sky.strs'; did you mean sky.stars?"),
        ({"QUERY": "SELECT\n  g_magg FROM sky.stars"}, "line 2, column 3: unknown column 'g_magg'; did you mean g_mag"),
        ({"QUERY": "SELECT id FRM sky.stars"}, "line 1, column 11: "),
        ({"QUERY": "SELECT id FROM sky.stars LIMIT 5"}, "ADQL limits rows with SELECT TOP 5"),
        ({"QUERY": "DROP TABLE sky.stars"}, "line 1, column 1: "),
        ({"QUERY": " "}, "QUERY is missing"),
        ({"LANG": ""}, "LANG is missing: the language of the query, one of ADQL, ADQL-2.1, ADQL-2.0."),
        ({"LANG": "SQL"}, "LANG 'SQL' is not known; allowed are ADQL, ADQL-2.1, ADQL-2.0."),
        ({"REQUEST": "getCapabilities"}, "REQUEST must be doQuery or left out, not 'getCapabilities'."),
        ({"MAXREC": "-1"}, f"MAXREC must be a whole number of rows, 0 (metadata only) or more; at most {MAX_ROWS}"),
        ({"MAXREC": "many"}, "MAXREC must be a whole number of rows"),
        (
            {"RESPONSEFORMAT": "xls"},
            "RESPONSEFORMAT 'xls' is not known; allowed are votable, votable/td, votable/b, csv, tsv, fits, json",
        ),
        (
            {"UPLOAD": "t,http://127.0.0.1/t"},
            "Upload 't': 'http://127.0.0.1/t' is not on an allowed host (none is allowed here)",
        ),
    ],
)
def test_bad_input_is_a_400_that_says_what_and_where(site: Site, given: dict[str, str], message: str) -> None:
    answer = site.client.post("/api/tap/sync", data={"LANG": "ADQL", "QUERY": "SELECT id FROM sky.stars", **given})

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/x-votable+xml")
    assert message in refusal(answer)


def test_pyvo_shows_the_message_of_a_refusal(site: Site) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match=r"^line 1, column 15: unknown table 'sky\.strs'; did you mean"):
        pyvo.dal.TAPService(f"{site.url}/api/tap").search("SELECT * FROM sky.strs")


def test_a_closed_release_is_there_for_holders_and_nowhere_for_others(site: Site) -> None:
    adql = "SELECT COUNT(*) AS n FROM future.stars"

    assert arrow(ask(site, adql, AS_HOLDER, responseformat="arrow")).to_pylist() == [{"n": site.hidden.num_rows}]
    for headers in (None, AS_VISITOR):
        existing, invented = ask(site, adql, headers), ask(site, adql.replace("future", "futura"), headers)
        assert existing.status_code == invented.status_code == 400
        assert refusal(existing) == "line 1, column 27: unknown table 'future.stars'; did you mean sky.stars?"
        assert refusal(invented) == "line 1, column 27: unknown table 'futura.stars'; did you mean sky.stars?"


def test_pyvo_asks_in_ones_own_name_with_a_token(site: Site) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {HOLDER}"

    found = pyvo.dal.TAPService(f"{site.url}/api/tap", session=session).search("SELECT TOP 3 id FROM future.stars")

    assert len(found) == 3


def test_a_wrong_token_is_challenged(site: Site) -> None:
    answer = ask(site, "SELECT TOP 1 id FROM sky.stars", {"Authorization": "Bearer wrong"})

    assert answer.status_code == 401
    assert [challenge.split()[0] for challenge in answer.headers.get_list("www-authenticate")] == ["Basic", "Bearer"]
    assert "token" in refusal(answer)


def test_a_token_without_the_scope_is_refused_by_its_name(site: Site) -> None:
    answer = ask(site, "SELECT TOP 1 id FROM sky.stars", AS_NO_SCOPE)

    assert answer.status_code == 403
    assert "custom:pachon:query" in refusal(answer)
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_while_the_hub_is_away_tokens_wait_and_anonymous_visitors_go_on(site: Site) -> None:
    site.hub.broken_with = Response(status_code=500)
    try:
        answer = ask(site, "SELECT TOP 1 id FROM sky.stars", AS_HOLDER)
        anonymous = ask(site, "SELECT TOP 1 id FROM sky.stars")
    finally:
        site.hub.broken_with = None

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "hub" in refusal(answer)
    assert anonymous.status_code == 200


def test_a_fault_of_ours_is_told_by_its_request_id_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr(type(site.services.tap), "start", fail)
    answer = ask(site, "SELECT TOP 1 id FROM sky.stars")

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in refusal(answer)
    assert "secret" not in answer.text


def test_a_client_that_leaves_ends_its_query_and_frees_the_worker(tmp_path: Path) -> None:
    many = {"LANG": "ADQL", "QUERY": "SELECT a.*, b.* FROM sky.stars AS a, sky.stars AS b", "MAXREC": "5000000"}
    with running_site(tmp_path, max_rows=5_000_000) as site:
        left = []
        for _ in range(4):  # there are two workers
            with site.client.stream("GET", "/api/tap/sync", params=many) as answer:
                assert answer.status_code == 200
                left.append(answer.headers["X-Pachon-Execution"])
                next(answer.iter_raw(100))

        deadline = time.monotonic() + 10
        while any(phase_of(site, run) is None for run in left) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [phase_of(site, run) for run in left] == [Phase.ABORTED] * 4
        assert ask(site, "SELECT TOP 1 id FROM sky.stars").status_code == 200


def phase_of(site: Site, run: str) -> Phase | None:
    return next((done.phase for done in site.services.executions.list("", limit=100) if done.id == run), None)
