"""Saved queries over HTTP: made, changed, shared, run, compared, found and deleted."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import Queue
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.io.votable import parse

from pachon.core.ids import new_id
from pachon.identity.cookies import LOGIN_COOKIE
from pachon.identity.login import login_seal
from pachon.identity.models import Scope
from support.app import AS_HOLDER, AS_VISITOR, Site, running_site
from support.jobs import finished, make, phase, until
from support.saved_queries import VIEW
from support.skies import FIRST_ID

STARS = f"SELECT id, ra, dec, name FROM sky.stars WHERE id < {FIRST_ID + 2000}"

SLOW = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.dec, b.ra) > 179.9"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        running.hub.know("token-of-mate", "mate", groups=("team",), scopes=(Scope.QUERY,))
        running.hub.know("token-of-lead", "lead", groups=("team", "rights-holders"), scopes=(Scope.QUERY,))
        yield running


AS_MATE, AS_LEAD = ({"Authorization": f"Bearer token-of-{name}"} for name in ("mate", "lead"))
Person = dict[str, str] | None


def call(site: Site, method: str, path: str, person: Person = AS_LEAD, **more: Any) -> httpx.Response:
    headers = (person or {}) | more.pop("headers", {})
    return site.client.request(method, f"/api/queries{path}", headers=headers, **more)


def new(site: Site, person: Person = AS_LEAD, **given: Any) -> dict[str, Any]:
    answer = call(site, "POST", "", person, json={"adql": STARS} | given)
    assert answer.status_code == 201, answer.text
    return answer.json()


def told(site: Site, query_id: str, person: Person = AS_LEAD) -> dict[str, Any]:
    answer = call(site, "GET", f"/{query_id}", person)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ran(site: Site, query_id: str, person: Person = AS_LEAD) -> dict[str, Any]:
    """The query once its run has ended."""
    deadline = time.monotonic() + 30
    while True:
        query = told(site, query_id, person)
        if query["state"] in {"COMPLETED", "ERROR", "ABORTED"}:
            return query
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows(site: Site, query_id: str, person: Person = AS_LEAD, **params: Any) -> pa.Table:
    answer = call(site, "GET", f"/{query_id}/result", person, params=params)
    assert answer.status_code == 200, answer.text
    return pa.ipc.open_stream(answer.content).read_all()


def message(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


def test_a_text_becomes_a_query_with_a_name_an_address_and_a_citation(site: Site) -> None:
    query = new(site, name="Pleiades", tags=["cluster"], notes="to do", view=VIEW, form={"a": 1})
    current = query["current"]
    assert (query["owner"], query["access"], query["state"], query["releases"]) == ("lead", "owner", "DRAFT", ["sky"])
    assert (current["number"], current["view"], current["form"]) == (1, VIEW, {"a": 1})
    assert current["citation"] == f"{query['id']}.v1"
    cited = site.client.get(current["address"], headers=AS_LEAD)
    assert cited.json() == current
    assert told(site, query["id"]) == query


def test_a_login_cookie_of_a_program_reads_and_is_told_why_it_does_not_change(site: Site) -> None:
    sealed = login_seal(site.services.settings).close({"token": "token-of-lead"})
    cookie = {"Cookie": f"{LOGIN_COOKIE}={sealed}"}
    assert call(site, "GET", "", None, headers=cookie).status_code == 200
    refused = call(site, "POST", "", None, json={"adql": STARS}, headers=cookie)
    assert "programs send a token in the Authorization header" in message(refused, 401)
    page = {"Referer": f"{site.url}/portal/", "Origin": site.url}
    assert call(site, "POST", "", None, json={"adql": STARS}, headers=cookie | page).status_code == 201


def test_a_query_without_a_name_is_called_by_the_beginning_of_its_text(site: Site) -> None:
    assert new(site, adql="SELECT  id\nFROM sky.stars")["current"]["name"] == "SELECT id FROM sky.stars"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Give one of execution, job and adql"),
        ({"adql": " "}, "adql is missing"),
        ({"adql": "SELECT 1", "job": "j"}, "Give one of"),
        ({"adql": "SELECT 1", "name": "n" * 201}, "name has 201 characters; at most 200"),
        ({"adql": "SELECT 1", "tags": ["t"] * 21}, "tags holds 21 tags; at most 20"),
        ({"adql": "SELECT 1", "uploads": [{"name": "a b", "uri": "x"}]}, "uploads must each have the name"),
        ({"adql": "SELECT 1", "max_rows": -1}, "max_rows must be 0 or more"),
        ({"adql": "SELECT 1", "view": {"schema_version": "2.0"}}, "view.schema_version 2.0 is newer"),
        ({"adql": "SELECT 1", "view": {"sky": {"ra_deg": 400, "dec_deg": 0, "fov_deg": 1}}}, "view.sky.ra_deg"),
        ({"adql": "SELECT 1", "view": {"plot": []}}, "view.plot is not part of schema_version 1.0"),
        ({"adql": "SELECT 1", "colour": "red"}, "colour"),
        ({"job": "none"}, "There is no job 'none'"),
        ({"execution": "none"}, "There is no execution 'none'"),
    ],
)
def test_what_cannot_be_kept_is_explained(site: Site, given: dict[str, Any], words: str) -> None:
    answer = call(site, "POST", "", json=given)
    assert answer.status_code in {400, 404}
    assert words in answer.json()["error"]["message"]


def test_what_is_not_json_for_everybody_is_refused(site: Site) -> None:
    body = b'{"adql": "SELECT 1", "view": {"image": {"stretch": NaN}}}'
    answer = call(site, "POST", "", content=body, headers={"Content-Type": "application/json"})
    assert "finite numbers" in message(answer, 400)


def test_a_run_keeps_its_rows_beyond_the_job_and_shows_them_by_pages(site: Site) -> None:
    query = new(site, run=True)
    assert query["state"] in {"QUEUED", "EXECUTING", "COMPLETED"}
    ended = ran(site, query["id"])
    run = ended["current"]["run"]
    assert ended["current"]["result"]["available"]
    assert (run["phase"], run["row_count"], run["asked_by"]) == ("COMPLETED", 2000, "lead")
    site.client.delete(f"/api/tap/async/{run['job']}", headers=AS_LEAD)
    whole = rows(site, query["id"])
    assert whole.num_rows == 2000
    page = rows(site, query["id"], offset=1990, limit=7, columns="ra,id")
    assert page.column_names == ["ra", "id"]
    assert page["id"].to_pylist() == whole["id"].to_pylist()[1990:1997]


@pytest.fixture(scope="module")
def kept(site: Site) -> dict[str, Any]:
    """A query with rows, shared by link."""
    return ran(site, new(site, run=True, view=VIEW | {"filters": []})["id"])


def test_rows_are_filtered_and_sorted_as_asked(site: Site, kept: dict[str, Any]) -> None:
    whole = rows(site, kept["id"])
    north = [{"column": "dec", "op": ">", "value": 0}, {"column": "name", "op": "is not null"}]
    found = rows(site, kept["id"], filter=json.dumps(north), sort="-ra,id", offset=10, limit=20)
    mask = pc.and_(pc.greater(whole["dec"], 0), pc.is_valid(whole["name"]))
    expected = whole.filter(mask).sort_by([("ra", "descending"), ("id", "ascending")]).slice(10, 20)
    assert found.to_pylist() == expected.to_pylist()
    count = call(site, "GET", f"/{kept['id']}/result/count", params={"filter": json.dumps(north)}).json()
    assert count == {"rows": 2000, "matching": pc.sum(mask).as_py()}


def test_rows_as_shown_are_those_that_the_view_selects(site: Site, kept: dict[str, Any]) -> None:
    whole = rows(site, kept["id"])
    inside = pc.and_(pc.less_equal(whole["ra"], 20.5), pc.greater_equal(whole["ra"], 10.0))
    inside = pc.and_(inside, pc.and_(pc.less_equal(whole["dec"], 1e-300), pc.greater_equal(whole["dec"], -1)))
    assert rows(site, kept["id"], shown="true").to_pylist() == whole.filter(inside).to_pylist()


def selecting(condition: str) -> dict[str, Any]:
    return {"schema_version": "1.0", "selection": {"kind": "adql", "condition": condition}}


def test_a_selection_in_adql_means_on_the_kept_rows_what_it_means_in_where(site: Site) -> None:
    condition = "CONTAINS(POINT(ra, dec), POLYGON(5, 89, 95, 89, 95, 89.9, 5, 89.9)) = 1\nOR id - 1 = " + str(FIRST_ID)
    mine = new(site, adql=f"{STARS} ORDER BY ra DESC", run=True, view=selecting(condition))
    whole = rows(site, ran(site, mine["id"])["id"])
    asked = site.client.post(
        "/api/tap/sync",
        data={"LANG": "ADQL", "RESPONSEFORMAT": "arrow", "QUERY": f"{STARS} AND ({condition}) ORDER BY ra DESC"},
        headers=AS_LEAD,
    )
    expected = pa.ipc.open_stream(asked.content).read_all()
    found = rows(site, mine["id"], shown="true", places="true")
    assert 1 < found.num_rows < whole.num_rows
    assert found.select(whole.column_names).to_pylist() == expected.to_pylist()
    assert found["row place"].to_pylist() == pc.indices_nonzero(pc.is_in(whole["id"], expected["id"])).to_pylist()
    counted = call(site, "GET", f"/{mine['id']}/result/count", params={"shown": "true"}).json()
    assert counted == {"rows": 2000, "matching": found.num_rows}


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("colour > 1", "line 1, column 1"),
        ("ra >\n> 1", "line 2"),
        ("1 = 1 -- all", ""),
        ("id IN (SELECT id FROM future.stars)", "future"),
    ],
)
def test_a_selection_in_adql_sees_the_kept_rows_alone_and_is_explained(site: Site, condition: str, words: str) -> None:
    query = ran(site, new(site, run=True, view=selecting(condition))["id"])
    answer = call(site, "GET", f"/{query['id']}/result", params={"shown": "true", "limit": 1})
    if words:
        said = message(answer, 400)
        assert "no condition on the columns of the result" in said
        assert words in said
    else:
        assert pa.ipc.open_stream(answer.content).read_all().num_rows == 1


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"columns": "nothing"}, "no column 'nothing'; it has id, ra, dec, name"),
        ({"sort": "ra"}, "limit must be given to sort"),
        ({"sort": "nothing", "limit": 5}, "no column 'nothing'"),
        ({"filter": "["}, "filter"),
        ({"filter": '[{"column": "ra", "op": "like", "value": 1}]'}, "filter[0].op"),
        ({"filter": '[{"column": "nothing", "op": "is null"}]'}, "no column 'nothing'"),
        ({"filter": '[{"column": "ra", "op": "<", "value": "south"}]'}, "Column 'ra' is double"),
        ({"filter": '[{"column": "ra", "op": "contains", "value": "1"}]'}, "Column 'ra' is no text"),
        ({"version": 9}, "has no version 9"),
        ({"RESPONSEFORMAT": "xls"}, "RESPONSEFORMAT 'xls' is not known"),
    ],
)
def test_a_wrong_page_is_explained(site: Site, kept: dict[str, Any], params: dict[str, Any], words: str) -> None:
    answer = call(site, "GET", f"/{kept['id']}/result", params=params)
    assert answer.status_code in {400, 404}
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("form", ["votable", "csv", "fits", "json", "parquet"])
def test_rows_come_in_every_format(site: Site, kept: dict[str, Any], form: str) -> None:
    answer = call(site, "GET", f"/{kept['id']}/result", params={"RESPONSEFORMAT": form, "limit": 3})
    assert answer.status_code == 200
    assert f"query-{kept['id']}-v1." in answer.headers["content-disposition"]


def test_an_edit_makes_a_version_and_the_old_one_can_be_restored(site: Site) -> None:
    query = new(site, name="first")
    etag = call(site, "GET", f"/{query['id']}").headers["ETag"]
    change = {"adql": f"{STARS} AND dec > 0", "note": "north only"}
    edited = call(site, "PATCH", f"/{query['id']}", json=change, headers={"If-Match": etag}).json()
    assert (edited["current"]["number"], edited["current"]["note"]) == (2, "north only")
    assert edited["current"]["name"] == "first"
    restored = call(site, "POST", f"/{query['id']}/versions/1/restore").json()
    assert (restored["current"]["number"], restored["current"]["adql"]) == (3, STARS)
    listed = call(site, "GET", f"/{query['id']}/versions").json()["versions"]
    assert [version["number"] for version in listed] == [3, 2, 1]


def test_a_version_that_is_restored_has_its_rows_again(site: Site) -> None:
    query = ran(site, new(site, run=True)["id"])
    before = rows(site, query["id"])
    narrower = {"json": {"adql": f"{STARS} AND dec > 89"}, "headers": {"If-Match": "*"}}
    assert call(site, "PATCH", f"/{query['id']}", **narrower).json()["state"] == "DRAFT"
    restored = call(site, "POST", f"/{query['id']}/versions/1/restore").json()
    assert (restored["state"], restored["current"]["number"]) == ("COMPLETED", 3)
    assert rows(site, query["id"]) == before


def test_a_change_of_the_view_keeps_the_rows(site: Site) -> None:
    query = ran(site, new(site, run=True)["id"])
    edited = call(site, "PATCH", f"/{query['id']}", json={"view": VIEW}, headers={"If-Match": "*"}).json()
    assert (edited["current"]["number"], edited["current"]["result"]["available"]) == (2, True)
    other = call(
        site, "PATCH", f"/{query['id']}", json={"adql": "SELECT 1 AS x FROM sky.stars"}, headers={"If-Match": "*"}
    )
    assert other.json()["current"]["result"] == {
        "available": False, "reason": "This version was never run.", "address": None, "size_bytes": None,
    }  # fmt: skip


def test_of_two_people_who_edit_at_once_nobody_loses_a_word(site: Site) -> None:
    query = new(site)
    call(site, "POST", f"/{query['id']}/shares", json={"audience": "person", "who": "mate", "may_edit": True})
    seen = call(site, "GET", f"/{query['id']}").headers["ETag"]
    mine = call(site, "PATCH", f"/{query['id']}", json={"notes": "mine"}, headers={"If-Match": seen})
    assert mine.status_code == 200
    theirs = {"notes": "theirs"}
    refused = call(site, "PATCH", f"/{query['id']}", AS_MATE, json=theirs, headers={"If-Match": seen})
    assert "lead saved version 2 since your version 1" in message(refused, 412)
    both = call(
        site, "PATCH", f"/{query['id']}", AS_MATE, json=theirs | {"conflict": "keep"}, headers={"If-Match": seen}
    )
    assert (both.json()["current"]["author"], both.json()["current"]["based_on"]) == ("mate", 1)
    listed = call(site, "GET", f"/{query['id']}/versions").json()["versions"]
    assert [version["notes"] for version in listed] == ["theirs", "mine", ""]


def test_a_change_needs_to_say_what_it_is_based_on(site: Site) -> None:
    query = new(site)
    for headers in ({}, {"If-Match": "yesterday"}):
        answer = call(site, "PATCH", f"/{query['id']}", json={"name": "x"}, headers=headers)
        assert "If-Match must be the ETag" in message(answer, 400)


def test_what_is_known_is_not_sent_again(site: Site) -> None:
    query = new(site)
    etag = call(site, "GET", f"/{query['id']}").headers["ETag"]
    assert call(site, "GET", f"/{query['id']}", headers={"If-None-Match": etag}).status_code == 304


def test_a_private_query_reads_like_none_for_everybody_else(site: Site, kept: dict[str, Any]) -> None:
    missing = new_id()
    paths = ("", "/versions", "/versions/1", "/result", "/result/count", "/diff?from=1", "/shares")
    for person in (AS_MATE, AS_HOLDER, None):
        for path in paths:
            answers = [call(site, "GET", f"/{each}{path}", person) for each in (kept["id"], missing)]
            told = [
                (each.status_code, each.json()["error"]["message"].replace(missing, kept["id"])) for each in answers
            ]
            assert told[0] == told[1]
            assert told[0][0] == (401 if person is None and path == "/shares" else 404)
    assert call(site, "DELETE", f"/{kept['id']}", AS_MATE).status_code == 404


def test_a_reader_may_fork_but_neither_change_nor_share(site: Site, kept: dict[str, Any]) -> None:
    call(site, "POST", f"/{kept['id']}/shares", json={"audience": "group", "who": "team"})
    assert told(site, kept["id"], AS_MATE)["access"] == "reader"
    assert "fork it" in message(call(site, "PATCH", f"/{kept['id']}", AS_MATE, json={}, headers={"If-Match": "*"}), 403)
    assert "fork it" in message(call(site, "POST", f"/{kept['id']}/run", AS_MATE), 403)
    assert "only its owner" in message(call(site, "GET", f"/{kept['id']}/shares", AS_MATE), 403)
    assert "only its owner" in message(call(site, "DELETE", f"/{kept['id']}", AS_MATE), 403)
    forked = call(site, "POST", f"/{kept['id']}/fork", AS_MATE).json()
    assert (forked["owner"], forked["parent"], forked["state"]) == ("mate", kept["current"]["citation"], "DRAFT")
    listed = call(site, "GET", "", AS_MATE, params={"whose": "shared"}).json()["queries"]
    assert kept["id"] in [each["id"] for each in listed]


def test_a_link_opens_a_query_until_it_is_taken_back(site: Site, kept: dict[str, Any]) -> None:
    made = call(site, "POST", f"/{kept['id']}/shares", json={"audience": "link"}).json()
    link = {"link": made["token"]}
    assert call(site, "GET", f"/{kept['id']}", None, params=link).json()["access"] == "reader"
    assert rows(site, kept["id"], None, link=made["token"], limit=3).num_rows == 3
    assert call(site, "GET", f"/{kept['id']}", None, params={"link": made["token"][:-1]}).status_code == 404
    assert made["token"] not in json.dumps(told(site, kept["id"]))
    call(site, "DELETE", f"/{kept['id']}/shares/{made['id']}")
    assert call(site, "GET", f"/{kept['id']}", None, params=link).status_code == 404


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"audience": "person"}, "who must be the name"),
        ({"audience": "link", "who": "eve"}, "who must be the name"),
        ({"audience": "person", "who": "novise"}, "Nobody called 'novise' has logged in here; did you mean novice?"),
        ({"audience": "person", "who": "xyz"}, "Nobody called 'xyz' has logged in here; a link reaches anybody."),
        ({"audience": "group", "who": "others"}, "You may share with groups of your own: rights-holders, team."),
        ({"audience": "public", "may_edit": True}, "may_edit is for people and groups"),
        ({"audience": "link", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at must be a moment to come"),
        ({"audience": "everybody"}, "audience"),
    ],
)
def test_a_wrong_share_is_explained(site: Site, kept: dict[str, Any], given: dict[str, Any], words: str) -> None:
    assert words in message(call(site, "POST", f"/{kept['id']}/shares", json=given), 400)


def test_sharing_never_widens_rights_to_data(site: Site) -> None:
    query = ran(site, new(site, adql="SELECT id, ra FROM future.stars", run=True)["id"])
    call(site, "POST", f"/{query['id']}/shares", json={"audience": "person", "who": "visitor"})
    seen = told(site, query["id"], AS_VISITOR)
    assert seen["current"]["adql"] == "SELECT id, ra FROM future.stars"
    assert seen["current"]["run"]["row_count"] is None
    assert "not yours to read: future.stars" in seen["current"]["result"]["reason"]
    for path in ("/result", "/result/count", "/diff?from=1"):
        assert "not yours to read" in message(call(site, "GET", f"/{query['id']}{path}", AS_VISITOR), 403)
    (listed,) = call(site, "GET", "", AS_VISITOR, params={"whose": "shared"}).json()["queries"]
    assert listed["row_count"] is None
    assert rows(site, query["id"]).num_rows == site.hidden.num_rows


def test_a_job_of_any_program_becomes_a_query_with_its_rows_and_only_once(site: Site) -> None:
    agent = {"User-Agent": "STIL/4.3 (STILTS/3.5.2)"}
    path = make(site, STARS, headers=AS_LEAD | agent, PHASE="RUN", MAXREC="50")
    assert finished(site, path, AS_LEAD) == "COMPLETED"
    answers = [call(site, "POST", "", json={"job": path.rpartition("/")[2], "name": "mine"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    first, again = (answer.json() for answer in answers)
    assert first["id"] == again["id"]
    assert (first["current"]["max_rows"], first["current"]["run"]["client"]) == (50, "STILTS")
    assert rows(site, first["id"]).num_rows == 50
    execution = first["current"]["run"]["execution"]
    assert call(site, "POST", "", json={"execution": execution}).json()["id"] == first["id"]


def test_a_synchronous_run_becomes_a_query_that_can_be_run_for_its_rows(site: Site) -> None:
    form = {"LANG": "ADQL", "QUERY": STARS}
    agent = {"User-Agent": "pyVO/1.9.1 Python/3.11"}
    execution = site.client.post("/api/tap/sync", data=form, headers=AS_LEAD | agent).headers["X-Pachon-Execution"]
    deadline = time.monotonic() + 10
    while (answer := call(site, "POST", "", json={"execution": execution})).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    current = answer.json()["current"]
    assert (current["run"]["client"], current["run"]["row_count"]) == ("pyvo", 2000)
    assert "run it to have them here" in current["result"]["reason"]
    call(site, "POST", f"/{answer.json()['id']}/run").raise_for_status()
    assert ran(site, answer.json()["id"])["current"]["result"]["available"]


def test_the_same_question_to_another_release_is_a_version_and_differences_are_told(site: Site) -> None:
    made = ran(site, new(site, adql=f"SELECT id, ra, g_mag FROM sky.stars WHERE id < {FIRST_ID + 100}", run=True)["id"])
    call(site, "POST", f"/{made['id']}/run", json={"release": "future"}).raise_for_status()
    moved = ran(site, made["id"])
    assert moved["current"]["adql"] == f"SELECT id, ra, g_mag FROM future.stars WHERE id < {FIRST_ID + 100}"
    assert moved["releases"] == ["future"]
    found = call(site, "GET", f"/{made['id']}/diff", params={"from": 1}).json()
    assert (found["from"], found["to"], found["key"]) == (1, 2, "id")
    assert found["row_counts"] == {"old": 100, "new": 100}
    assert (found["rows_added"], found["rows_removed"], found["rows_changed"]) == (0, 0, 100)
    assert len(found["sample"]) == 20
    ra = found["sample"][0]["columns"]["ra"]
    assert ra["old"] in site.stars["ra"].to_pylist()
    assert ra["new"] in site.hidden["ra"].to_pylist()


@pytest.mark.parametrize(
    ("adql", "given", "status", "words"),
    [
        (STARS, {"release": "nowhere"}, 404, "There is no release 'nowhere'"),
        ("SELECT 1 AS one FROM sky.stars, future.stars", {"release": "future"}, 400, "names future, sky"),
        (STARS, {"release": "future", "from": "other"}, 400, "does not ask release 'other'"),
        (
            "SELECT x FROM sky.other",
            {"release": "future"},
            400,
            "Release future lacks what the query asks for: table other",
        ),
        ("SELECT nothing FROM sky.stars", {}, 400, "nothing"),
        ("SELECT x FROM TAP_UPLOAD.mine", {}, 409, "Table mine was sent as a file with its job"),
    ],
)
def test_what_cannot_be_run_is_explained_and_nothing_changes(
    site: Site, adql: str, given: dict[str, Any], status: int, words: str
) -> None:
    uploads = [{"name": "mine", "uri": "param:mine"}] if "UPLOAD" in adql else []
    query = new(site, adql=adql, uploads=uploads)
    assert words in message(call(site, "POST", f"/{query['id']}/run", json=given), status)
    assert told(site, query["id"])["current"]["number"] == 1


def test_a_full_quota_keeps_the_figures_and_says_what_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = site.services.saved.runs
    monkeypatch.setattr(runs, "_limits", type(runs._limits)(max_result_bytes_per_person=10))
    query = ran(site, new(site, run=True)["id"])
    assert query["current"]["run"]["row_count"] == 2000
    assert "delete results or queries" in query["current"]["result"]["reason"]
    assert "has no rows" in message(call(site, "GET", f"/{query['id']}/result"), 404)


def test_deleting_a_result_frees_its_room_and_deleting_a_query_all_of_it(site: Site) -> None:
    query = ran(site, new(site, AS_MATE, run=True)["id"], AS_MATE)
    assert call(site, "GET", "/quota", AS_MATE).json()["result_bytes"] > 0
    assert call(site, "DELETE", f"/{query['id']}/result", AS_MATE).status_code == 204
    assert call(site, "GET", "/quota", AS_MATE).json()["result_bytes"] == 0
    assert call(site, "DELETE", f"/{query['id']}", AS_MATE).status_code == 204
    assert call(site, "GET", f"/{query['id']}", AS_MATE).status_code == 404


def test_what_runs_is_listed_with_its_program_and_its_query_until_it_has_ended(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.services.runner._store, "claim", lambda *_, **__: None)
    path = make(site, STARS, headers=AS_MATE | {"User-Agent": "TOPCAT/4.10 Java"}, PHASE="RUN")
    query = new(site, AS_MATE, run=True)
    told_now = call(site, "GET", "/running", AS_MATE).json()["running"]
    assert [(each["client"], each["query"], each["phase"]) for each in told_now] == [
        ("python-httpx", query["id"], "QUEUED"),
        ("TOPCAT", None, "QUEUED"),
    ]
    assert [each["in_line"]["position"] for each in told_now] == [2, 1]
    assert told(site, query["id"], AS_MATE)["current"]["run"]["in_line"]["position"] == 2
    for job in (path, f"/api/tap/async/{told_now[0]['job']}"):
        site.client.post(f"{job}/phase", data={"PHASE": "ABORT"}, headers=AS_MATE)
    assert call(site, "GET", "/running", AS_MATE).json() == {"running": []}
    assert told(site, query["id"], AS_MATE)["state"] == "ABORTED"


def test_a_list_says_within_a_second_that_a_run_has_begun(site: Site) -> None:
    query = new(site, AS_MATE, adql=SLOW, run=True)
    run = told(site, query["id"], AS_MATE)["current"]["run"]
    until(lambda: phase(site, f"/api/tap/async/{run['job']}", AS_MATE) == "EXECUTING")
    until(lambda: call(site, "GET", "", AS_MATE, params={"state": "EXECUTING"}).json()["queries"] != [], within_s=1)
    begun = told(site, query["id"], AS_MATE)["current"]["run"]
    assert begun["started_at"] is not None
    assert begun["in_line"] is None
    site.client.post(f"/api/tap/async/{run['job']}/phase", data={"PHASE": "ABORT"}, headers=AS_MATE)
    assert ran(site, query["id"], AS_MATE)["state"] == "ABORTED"


def test_lists_are_searched_and_paged(site: Site) -> None:
    for number in range(5):
        new(site, AS_HOLDER, name=f"nebula {number}", tags=["fog"])
    new(site, AS_HOLDER, name="comet")
    first = call(site, "GET", "", AS_HOLDER, params={"text": "nebu", "limit": 3}).json()
    rest = call(site, "GET", "", AS_HOLDER, params={"text": "nebu", "limit": 3, "before": first["next_before"]}).json()
    assert [each["name"][-1] for page in (first, rest) for each in page["queries"]] == ["4", "3", "2", "1", "0"]
    assert rest["next_before"] is None
    named = call(site, "GET", "", AS_HOLDER, params={"name": "nebula 3", "whose": "mine"}).json()["queries"]
    assert [each["name"] for each in named] == ["nebula 3"]
    assert len(call(site, "GET", "", AS_HOLDER, params={"tag": "fog", "release": "sky"}).json()["queries"]) == 5
    assert "before must be" in message(call(site, "GET", "", AS_HOLDER, params={"before": "x"}), 400)


@contextmanager
def listening(site: Site, person: Person, **params: str) -> Iterator[Queue[tuple[str, dict[str, Any]]]]:
    """What a stream of events tells, as it comes; it is open when the block begins."""
    heard: Queue[tuple[str, dict[str, Any]]] = Queue()
    client = httpx.Client(base_url=site.url, trust_env=False, timeout=60)

    def listen() -> None:
        with (
            suppress(httpx.HTTPError),
            client.stream("GET", "/api/queries/events", headers=person, params=params) as on,
        ):
            kind = ""
            for line in on.iter_lines():
                if line == ": connected":
                    heard.put(("connected", {}))
                elif line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    heard.put((kind, json.loads(line.removeprefix("data: "))))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert heard.get(timeout=10)[0] == "connected"
    try:
        yield heard
    finally:
        client.close()


def heard_change(heard: Queue[tuple[str, dict[str, Any]]], within_s: float) -> dict[str, Any]:
    """The next change of a query."""
    deadline = time.monotonic() + within_s
    while True:
        kind, payload = heard.get(timeout=max(0.01, deadline - time.monotonic()))
        if kind == "query.changed":
            return payload


def test_owner_person_group_and_whoever_has_the_link_hear_of_a_change_within_a_second_and_nobody_else(
    site: Site,
) -> None:
    query = new(site)
    call(site, "POST", f"/{query['id']}/shares", json={"audience": "person", "who": "novice"})
    call(site, "POST", f"/{query['id']}/shares", json={"audience": "group", "who": "team"})
    link = call(site, "POST", f"/{query['id']}/shares", json={"audience": "link"}).json()["token"]
    with ExitStack() as stack:
        listeners = [stack.enter_context(listening(site, person)) for person in (AS_LEAD, AS_HOLDER, AS_MATE)]
        listeners.append(stack.enter_context(listening(site, None, query=query["id"], link=link)))
        visitor = stack.enter_context(listening(site, AS_VISITOR))
        time.sleep(0.3)
        call(site, "PATCH", f"/{query['id']}", json={"name": "new"}, headers={"If-Match": "*"}).raise_for_status()
        for heard in listeners:
            change = heard_change(heard, 1.0)
            assert (change["id"], change["version"], change["what"]) == (query["id"], 2, "edited")
        assert visitor.empty()


def test_nobody_listens_to_a_query_that_is_not_open_to_them(site: Site) -> None:
    query = new(site)
    for person, params, status in ((None, {}, 401), (AS_MATE, {"query": query["id"]}, 404)):
        answer = site.client.get("/api/queries/events", headers=person, params=params)
        assert answer.status_code == status


def test_the_end_of_a_run_is_heard_by_whoever_the_query_is_shared_with(site: Site) -> None:
    query = new(site)
    call(site, "POST", f"/{query['id']}/shares", json={"audience": "group", "who": "team"})
    with listening(site, AS_MATE) as heard:
        call(site, "POST", f"/{query['id']}/run").raise_for_status()
        states = list(dict.fromkeys(iter(lambda: heard_change(heard, 20)["state"], "COMPLETED")))
        assert states in (["QUEUED"], ["QUEUED", "EXECUTING"])
    assert told(site, query["id"], AS_MATE)["state"] == "COMPLETED"


def test_votable_rows_say_what_they_answer(site: Site, kept: dict[str, Any]) -> None:
    answer = call(site, "GET", f"/{kept['id']}/result", params={"RESPONSEFORMAT": "votable", "limit": 1})
    infos = {info.name: info.value for info in parse(io.BytesIO(answer.content)).resources[0].infos}
    assert infos["CITATION"] == f"{kept['id']}.v1"
