"""Estimates over HTTP: the same rights and refusals as the query itself."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from lxml import etree

from support.app import AS_HOLDER, AS_NO_SCOPE, AS_VISITOR, DEFAULT_ROWS, MAX_ROWS, Site, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def estimate(site: Site, adql: str, headers: dict[str, str] | None = None, **more: str) -> httpx.Response:
    return site.client.get("/api/queries/estimate", params={"QUERY": adql, **more}, headers=headers)


def asked(site: Site, adql: str, headers: dict[str, str] | None = None) -> httpx.Response:
    query = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "csv"}
    return site.client.get("/api/tap/sync", params=query, headers=headers)


def told(answer: httpx.Response) -> str:
    """The message of an error document of TAP."""
    return "".join(etree.fromstring(answer.content).xpath("//*[@name='QUERY_STATUS']/text()")).strip()


def test_an_estimate_says_rows_reading_time_and_limits(site: Site) -> None:
    document = estimate(site, "SELECT id, ra FROM sky.stars WHERE g_mag < 16").raise_for_status().json()
    rows = len(asked(site, "SELECT id, ra FROM sky.stars WHERE g_mag < 16").text.splitlines()) - 1
    limits = document.pop("limits")
    assert document.pop("seconds") > 0
    assert document.pop("bytes_scanned") > 0
    assert document == {
        "rows": rows,
        "range": {"rows": [rows, rows]},
        "overflow": False,
        "rows_scanned": 20_000,
        "time_class": "short",
        "confidence": "exact",
        "tables": ["sky.stars"],
        "reasons": [],
    }
    assert (limits["default_rows"], limits["max_rows"], limits["fate"]) == (DEFAULT_ROWS, MAX_ROWS, "run")


def test_a_form_and_an_address_are_answered_alike(site: Site) -> None:
    query = {"query": "SELECT * FROM sky.stars", "maxrec": "50"}
    posted = site.client.post("/api/queries/estimate", data=query).raise_for_status().json()
    assert posted == site.client.get("/api/queries/estimate", params=query).json()
    assert (posted["rows"], posted["overflow"]) == (50, True)


@pytest.mark.parametrize(
    "adql", ["SELECT ra\nFROM sky.starz", "SELEC ra FROM sky.stars", "SELECT ra FROM sky.stars WHERE"]
)
def test_wrong_adql_is_refused_with_the_words_and_the_place_of_the_query_itself(site: Site, adql: str) -> None:
    refused = estimate(site, adql)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["parameter"]) == (400, "QuerySyntaxError", "QUERY")
    assert error["message"] == told(asked(site, adql))


def test_what_a_person_may_not_read_is_not_there_for_their_estimates(site: Site) -> None:
    hidden, absent = "SELECT COUNT(*) FROM future.stars", "SELECT COUNT(*) FROM fature.stars"
    refusals = [estimate(site, adql, AS_VISITOR) for adql in (hidden, absent)]
    assert [answer.status_code for answer in refusals] == [400, 400]
    words = [answer.json()["error"]["message"] for answer in refusals]
    assert words[0] == words[1].replace("fature", "future")
    assert estimate(site, "SELECT id FROM future.stars", AS_HOLDER).json()["rows"] == site.hidden.num_rows


def test_metadata_are_counted_as_each_person_sees_them(site: Site) -> None:
    adql = "SELECT * FROM tap_schema.tables"
    for headers in (AS_VISITOR, AS_HOLDER):
        rows = len(asked(site, adql, headers).text.strip().splitlines()) - 1
        assert estimate(site, adql, headers).json()["rows"] == rows
    counts = [estimate(site, adql, headers).json()["rows"] for headers in (AS_VISITOR, AS_HOLDER)]
    assert counts[0] == counts[1] - 1


def test_a_token_without_the_scope_of_queries_is_refused(site: Site) -> None:
    assert estimate(site, "SELECT id FROM sky.stars", AS_NO_SCOPE).status_code == 403


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "QUERY is missing"),
        ({"QUERY": "SELECT id FROM sky.stars", "MAXREC": "-1"}, "MAXREC must be"),
        ({"QUERY": "SELECT id FROM TAP_UPLOAD.mine"}, "tables that come with a query cannot be estimated"),
    ],
)
def test_a_wrong_request_is_explained(site: Site, query: dict[str, str], words: str) -> None:
    answer = site.client.get("/api/queries/estimate", params=query)
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (400, True)
