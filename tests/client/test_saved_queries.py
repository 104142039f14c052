"""Saved queries by the Python client, against real Web APIs."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.compute as pc
import pytest

import pachon_client
from client.double import Reply, running_double
from pachon.identity.models import Scope
from pachon.queries.saved.models import SavedLimits
from pachon_client import (
    AdqlSelection,
    AuthenticationError,
    BoxSelection,
    Client,
    Filter,
    ForbiddenError,
    NotFoundError,
    PachonClientError,
    PolygonSelection,
    Query,
    RequestError,
    RowSelection,
    StaleError,
    UnavailableError,
    View,
)
from pachon_client.jobs import Job
from pachon_client.showing import portal_page
from pachon_client.waiting import Standing, read_standing
from support.app import HOLDER, VISITOR, Site, running_site
from support.archiving import archived
from support.skies import FIRST_ID
from support.stilts import logged_in, needs_newer_stilts

STARS = f"SELECT id, ra, dec FROM sky.stars WHERE id < {FIRST_ID + 500}"
ENDLESS = "SELECT COUNT(*) FROM sky.stars AS a, sky.stars AS b, sky.stars AS c WHERE a.ra+b.ra<c.ra"
NORTH = View({"filters": [{"column": "dec", "op": ">", "value": 0}], "columns": [{"name": "ra"}], "sky": None})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        running.hub.know("token-of-mate", "mate", groups=("rights-holders",), scopes=(Scope.QUERY,))
        yield running


def client_of(site: Site, token: str | None) -> Iterator[Client]:
    with Client(f"{site.url}/api", token or "") as client:
        yield client


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    yield from client_of(site, HOLDER)


@pytest.fixture
def visitor(site: Site) -> Iterator[Client]:
    yield from client_of(site, VISITOR)


def test_a_question_is_saved_and_its_rows_come_by_the_arrow_road(client: Client) -> None:
    states = list[str]()
    query = client.ask(STARS, "half a thousand", tags=["test"])
    query.wait(30, on_change=lambda now: states.append(now.state))
    assert states[-1] == "COMPLETED"
    assert (query.name, query.tags, query.row_count, len(query.result())) == ("half a thousand", ("test",), 500, 500)
    assert query.result(columns=["ra"], limit=3, offset=2).table == query.result().table.select(["ra"]).slice(2, 3)
    assert client.open(query.id).adql == STARS
    assert client.open(query.portal_url).id == query.id


def test_rows_as_shown_are_those_that_pass_the_filters_of_the_view(client: Client) -> None:
    query = client.ask(STARS).wait(30, on_change=lambda _: None).edit(view=NORTH, note="north")
    whole = query.result(version=1).table
    assert query.view.filters == (Filter("dec", ">", 0),)
    assert query.view.columns == ("ra",)
    assert query.result(shown=True).table == whole.filter(pc.greater(whole["dec"], 0))


@pytest.mark.parametrize(
    "view",
    [
        {
            "filters": [
                {"column": "dec", "op": ">", "value": -20.5},
                {"column": "ra", "op": "between", "values": [300, 10]},
            ]
        },
        {"filters": [{"column": "id", "op": "in", "values": [str(FIRST_ID + 7), str(FIRST_ID + 8), None]}]},
        {"filters": [{"column": "id", "op": "between", "values": [str(FIRST_ID + 100), str(10**16)]}]},
        {"filters": [{"column": "dec", "op": "is not null"}, {"column": "id", "op": "!=", "value": str(FIRST_ID)}]},
        {"selection": {"kind": "box", "x": "ra", "y": "dec", "x_range": [200.0, 20.0], "y_range": [-1e-3, 60.0]}},
        {"selection": {"kind": "rows", "column": "id", "values": [str(FIRST_ID + 3), str(FIRST_ID + 499)]}},
        {
            "selection": {"kind": "rows", "column": "id", "values": []},
            "filters": [{"column": "ra", "op": "<", "value": 90}],
        },
    ],
)
def test_the_condition_of_a_view_finds_the_rows_that_it_shows(client: Client, view: dict[str, Any]) -> None:
    query = client.ask(STARS, view=view).wait(30, on_change=lambda _: None)
    found = client.query(f"SELECT * FROM ({STARS}) AS kept WHERE {query.condition()}")
    shown = query.result(shown=True)
    assert sorted(found["id"]) == sorted(shown["id"])
    assert len(shown) < 500


def test_the_condition_of_a_view_says_what_adql_has_no_words_for(client: Client) -> None:
    triangle = {"kind": "polygon", "x": "ra", "y": "dec", "vertices": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]}
    query = client.ask(STARS, view={"selection": triangle}).wait(30, on_change=lambda _: None)
    with pytest.raises(RequestError, match="by a polygon cannot be said in ADQL"):
        query.condition()
    query.edit(view={"selection": {"kind": "adql", "condition": "ra < 9 OR dec < 9 -- near"}})
    found = client.query(f"SELECT * FROM ({STARS}) AS kept WHERE {query.condition()} AND id IS NOT NULL")
    assert len(found) == len(query.result(shown=True)) > 0
    assert query.edit(view={}).condition() == ""


@pytest.mark.parametrize(
    "selection",
    [
        BoxSelection("ra", "dec", (10.0, 20.5), (-1.0, 1e-300)),
        PolygonSelection("ra", "dec", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))),
        RowSelection("id", (str(FIRST_ID), None)),
        AdqlSelection("ra > 3"),
        None,
    ],
)
def test_filters_and_selections_are_objects_that_become_view_states_and_come_back(selection: Any) -> None:
    filters = (Filter("dec", "between", values=(-1.5, 2)), Filter("name", "is not null"), Filter("id", "=", "3"))
    view = NORTH.with_filters(filters).with_selection(selection)
    assert (view.filters, view.selection, view.columns) == (filters, selection, ("ra",))
    assert View({"selection": {"kind": "of the future"}}).selection is None


def test_a_selection_made_in_python_chooses_the_rows_that_are_shown(client: Client) -> None:
    query = client.ask(STARS).wait(30, on_change=lambda _: None)
    box = BoxSelection("ra", "dec", (0.0, 180.0), (-90.0, 0.0))
    query.edit(view=query.view.with_filters([Filter("dec", ">", -60)]).with_selection(box))
    assert client.open(query.id).view.selection == box
    whole = query.result().table
    inside = pc.and_(pc.less_equal(whole["ra"], 180), pc.less_equal(whole["dec"], 0))
    assert query.result(shown=True).table == whole.filter(pc.and_(inside, pc.greater(whole["dec"], -60)))


@pytest.mark.parametrize("name", ["as_python", "as_pyvo"])
def test_a_query_as_lines_of_python_brings_the_same_rows(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    query = client.ask(f"{STARS}\nAND name <> 'it''s \\n'", max_rows=70).wait(30, on_change=lambda _: None)
    monkeypatch.setenv("PACHON_API_URL", client.api_url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", HOLDER)
    pachon_client._session_client.cache_clear()
    lines = dict[str, Any]()
    exec(getattr(query, name)(), lines)
    assert len(lines["rows"]) == query.row_count == 70


def kept_with_a_table(client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Query:
    """A query that a table went with, and that table once more in the folder of who copies its lines."""
    lines = ["<VOTABLE version='1.4'><RESOURCE><TABLE><FIELD name='n' datatype='int'/><DATA><TABLEDATA>"]
    lines += [*(f"<TR><TD>{n}</TD></TR>" for n in range(3)), "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"]
    (folder / "mine.vot").write_text("".join(lines), encoding="utf-8")
    monkeypatch.chdir(folder)
    with (folder / "mine.vot").open("rb") as table:
        form = {"LANG": "ADQL", "QUERY": "SELECT n FROM TAP_UPLOAD.mine", "UPLOAD": "mine,param:t", "PHASE": "RUN"}
        answer = httpx.post(
            f"{client.api_url}/tap/async",
            data=form,
            files={"t": table},
            headers={"Authorization": f"Bearer {HOLDER}"},
            trust_env=False,
        )
    Job(client._transport, job_id := answer.headers["Location"].rpartition("/")[2]).wait(30, on_change=lambda _: None)
    document = client._transport.request("POST", "queries", body={"job": job_id}).json()
    return client.open(document["id"])


def test_lines_of_pyvo_name_the_tables_that_go_with_a_query_and_send_them(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    query = kept_with_a_table(client, tmp_path, monkeypatch)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", HOLDER)
    lines = dict[str, Any]()
    assert "# mine.vot: VOTables of yours; those that were sent" in query.as_pyvo()
    exec(query.as_pyvo(), lines)
    assert list(lines["rows"]["n"]) == [0, 1, 2]


@needs_newer_stilts
def test_a_line_for_stilts_sends_the_tables_that_go_with_a_query(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = kept_with_a_table(client, tmp_path, monkeypatch).as_topcat()
    assert "Load mine.vot first, with the label mine.\n" in given
    assert by_stilts(given) == ["n", "0", "1", "2"]


@needs_newer_stilts
def test_a_query_as_a_line_for_stilts_brings_the_same_rows(client: Client) -> None:
    query = client.ask(STARS, max_rows=70).wait(30, on_change=lambda _: None)
    given = query.as_topcat()
    assert f"TAP URL: {client.api_url}/tap\n" in given
    assert len(by_stilts(given)) == 1 + 70


def by_stilts(given: str) -> list[str]:
    """Lines of CSV that the copied line for STILTS brings."""
    command = shlex.split(given.partition("\nstilts ")[2])
    assert command[:2] == ["-Dauth.username=token", "-Dauth.password=$TOKEN"]
    stilts = [word.replace("username=me", "username=token") for word in logged_in(HOLDER)]
    done = subprocess.run([*stilts, *command[2:], "ofmt=csv"], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_the_portal_is_framed_in_labs_unless_its_headers_forbid_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_double() as double:
        double.replies["/api/open"] = Reply(headers={"Content-Security-Policy": "frame-ancestors 'self'"})
        double.replies["/api/denied"] = Reply(headers={"X-Frame-Options": "DENY"})
        double.replies["/api/closed"] = Reply(headers={"Content-Security-Policy": "x; frame-ancestors 'none'"})
        monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
        assert not portal_page("a", f"{double.url}/open").is_framed
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
        pages = [portal_page("<a>", f"{double.url}/{leaf}") for leaf in ("open", "denied", "closed")]
    assert [page.is_framed for page in pages] == [True, False, False]
    assert not portal_page("a", double.url).is_framed
    assert f'<iframe src="{pages[0]}"' in pages[0]._repr_html_()
    assert "iframe" not in pages[1]._repr_html_()
    assert "&lt;a&gt;" in pages[1]._repr_html_()


def test_a_query_is_shown_at_its_address_in_the_portal(client: Client) -> None:
    query = client.ask(STARS, "to be shown")
    assert repr(query.show()) == query.portal_url


def test_who_waits_sees_the_place_in_line_and_the_expected_end(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [client.submit(ENDLESS), client.submit(ENDLESS)]
    waiting = client.ask(ENDLESS)
    with pytest.raises(UnavailableError):
        waiting.wait(0.2)
    lines = capsys.readouterr().err.splitlines()
    for job in jobs:
        job.abort()
    assert waiting.abort().state == "ABORTED"
    assert lines[0].startswith("QUEUED after 0.0 s; place ")
    assert " in line, begins in about " in lines[0]
    assert lines[0].endswith("; interrupt to stop it")


def test_what_the_platform_expects_of_a_job_is_told_as_far_as_it_is_known() -> None:
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    queue = '<u:jobInfo><queue xmlns="urn:pachon:queue" position="3" waitSeconds="20"/></u:jobInfo>'
    document = (
        f'<u:job xmlns:u="http://www.ivoa.net/xml/UWS/v1.0"><u:quote>2026-11-25T12:05:00.000Z</u:quote>{queue}</u:job>'
    )
    told = read_standing(document.encode(), noon)
    assert told == Standing(position=3, starts_in_s=20, ends_in_s=300)
    assert str(told) == "place 3 in line, begins in about 20 s, ends in about 5 min"
    assert read_standing(b"<torn", noon) == read_standing(b"<job/>", noon) == Standing()


def test_what_was_run_before_can_be_saved_and_found(client: Client) -> None:
    result = client.query(STARS)
    query = _within(lambda: client.save(result, "from a result", notes="perihelion"))
    assert query.state == "COMPLETED"
    assert [found.id for found in client.queries("perihel", whose="mine")] == [query.id]
    with pytest.raises(NotFoundError, match="run it to have them here"):
        query.result()
    assert len(query.run().result()) == 500


def _within(act: object, tries: int = 100) -> Query:
    """A run is recorded a moment after its answer."""
    for _ in range(tries):
        try:
            return act()
        except NotFoundError:
            continue
    raise AssertionError


def test_every_change_is_a_version_and_changes_of_others_are_not_lost(client: Client) -> None:
    mine = client.ask(STARS, "first")
    theirs = client.open(mine.id)
    mine.note("seen by me")
    with pytest.raises(
        StaleError, match=r"novice saved version 2 since your version 1; .*keep_both=True keeps both as versions\.$"
    ):
        theirs.note("seen by them")
    theirs.edit(notes="seen by them", keep_both=True)
    assert [version.notes for version in mine.versions()] == ["seen by them", "seen by me", ""]
    mine.refresh().restore(2)
    assert (mine.version, mine.notes, mine.citation) == (4, "seen by me", f"{mine.id}.v4")


def quota_bytes(client: Client) -> int:
    return int(client._transport.get("queries/quota").json()["result_bytes"])


def test_a_version_that_is_run_again_takes_no_rows_from_those_that_shared_its_run(client: Client) -> None:
    before_bytes = quota_bytes(client)
    query = client.ask(STARS).wait(30, on_change=lambda _: None)
    once_bytes, rows = quota_bytes(client) - before_bytes, query.result().table
    query.edit(view=NORTH)
    for _ in range(2):
        query.run().wait(30, on_change=lambda _: None)
    assert query.result(version=1).table == query.result().table == rows
    assert quota_bytes(client) - before_bytes == 2 * once_bytes  # of version 1, and of the last run of version 2


def test_a_version_shows_its_former_rows_until_a_run_brings_others_and_says_why(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = client.ask(STARS).wait(30, on_change=lambda _: None)
    rows, former, used_bytes = query.result().table, query.document["current"]["run"], quota_bytes(client)
    with monkeypatch.context() as patch:
        patch.setattr(site.services.runner._store, "claim", lambda *_, **__: None)
        query.run()
        with pytest.raises(NotFoundError, match="The run is QUEUED"):
            query.result(version=1)
        query.abort()
    assert (query.state, query.document["current"]["former_run"], query.row_count) == ("ABORTED", former, len(rows))
    with pytest.warns(UserWarning, match="the last ended with ABORTED"):
        assert query.result().table == rows
    counted = client._transport.get(f"queries/{query.id}/result/count").json()
    assert counted == {"rows": len(rows), "matching": len(rows)}
    assert query.note("looked at").document["current"]["former_run"] == former

    with monkeypatch.context() as patch:
        patch.setattr(site.services.saved.runs, "_limits", SavedLimits(max_result_bytes_per_person=10))
        query.run().wait(30, on_change=lambda _: None)
    with pytest.warns(UserWarning, match="delete results or queries"):
        assert query.result().table == rows

    query.run().wait(30, on_change=lambda _: None)
    assert (query.document["current"]["former_run"], query.result().table) == (None, rows)
    assert query.result(version=1).table == rows  # its own last run failed: it keeps what it shows
    client._transport.request("DELETE", f"queries/{query.id}/result")
    assert quota_bytes(client) == used_bytes


def test_the_former_rows_go_when_the_new_ones_fit_in_their_place(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = client.ask(STARS).wait(30, on_change=lambda _: None)
    used_bytes = quota_bytes(client)
    monkeypatch.setattr(site.services.saved.runs, "_limits", SavedLimits(max_result_bytes_per_person=used_bytes))
    query.run().wait(30, on_change=lambda _: None)
    told = query.document["current"]["result"]
    assert (told["available"], told["reason"]) == (True, None)
    assert quota_bytes(client) == used_bytes


def test_the_same_on_another_release_tells_differences_and_what_is_missing(client: Client) -> None:
    query = client.ask(STARS).wait(30, on_change=lambda _: None)
    query.rerun("future").wait(30, on_change=lambda _: None)
    assert "FROM future.stars" in query.adql
    found = query.diff(1)
    old, new = (query.result(version=number).table.sort_by("id").to_pylist() for number in (1, 2))
    changed = sum(one != two for one, two in zip(old, new, strict=True))
    assert (found.key, found.row_counts, found.rows_changed) == ("id", {"old": 500, "new": 500}, changed)
    with pytest.raises(RequestError, match="does not ask release 'sky'"):
        query.rerun("future", instead_of="sky")


def test_a_shared_query_is_read_by_others_as_far_as_their_rights_reach(client: Client, visitor: Client) -> None:
    query = client.ask("SELECT id FROM future.stars").wait(30, on_change=lambda _: None)
    share = query.share(person="visitor")
    seen = visitor.open(query.id)
    assert (seen.adql, seen.row_count) == ("SELECT id FROM future.stars", None)
    with pytest.raises(ForbiddenError, match=r"not yours to read: future\.stars"):
        seen.result()
    with pytest.raises(ForbiddenError, match="fork it"):
        seen.note("mine")
    assert visitor.open(query.id).fork().owner == "visitor"
    query.unshare(share)
    with pytest.raises(NotFoundError, match="There is no query"):
        seen.refresh()


def test_a_link_opens_a_query_without_a_login(client: Client, site: Site) -> None:
    query = client.ask(STARS).wait(30, on_change=lambda _: None)
    address = query.share().address
    assert address is not None
    for visitor in client_of(site, None):
        opened = visitor.open(address)
        assert len(opened.result()) == 500
        assert [version.number for version in opened.versions()] == [1]
        assert visitor.open(opened.portal_url).id == query.id
    assert [share.audience for share in query.shares()] == ["link"]


def test_a_link_lets_nobody_change_a_query_and_says_what_to_do_instead(
    client: Client, visitor: Client, site: Site
) -> None:
    address = client.ask(STARS).share().address
    assert address is not None
    opened = visitor.open(address)
    acts: list[Callable[[Query], object]] = [
        *(lambda query: query.note("x"), lambda query: query.run(), lambda query: query.restore(1)),
        *(lambda query: query.share(public=True), lambda query: query.delete()),
    ]
    for act, instead in zip(acts, 3 * ["fork it"] + 2 * ["only its owner may"], strict=True):
        with pytest.raises(ForbiddenError, match=f"This query is novice's, and you may not .*: {instead}"):
            act(opened)
    assert opened.fork().owner == "visitor"
    for guest in client_of(site, None):
        for act in acts:
            with pytest.raises(AuthenticationError, match="people who are known here: log in, or send a token"):
                act(guest.open(address))


def test_waiting_has_an_end_and_what_is_no_query_is_said(client: Client) -> None:
    query = client.ask(STARS)
    query.document = {**query.document, "state": "QUEUED"}
    with pytest.raises(UnavailableError, match=r"is still QUEUED after -1 s"):
        query.wait(-1, on_change=lambda _: None)
    with pytest.raises(RequestError, match="neither the id of a query nor a link"):
        client.open("my query")
    with pytest.raises(RequestError, match="Give one of person, group and public"):
        query.share(person="a", group="b")
    query.delete()
    with pytest.raises(NotFoundError):
        query.refresh()


def test_a_query_whose_release_was_archived_keeps_all_it_has_and_says_why_it_does_not_run(
    client: Client, site: Site
) -> None:
    query = client.ask(STARS, "of old").wait(30, on_change=lambda _: None)
    with archived(site.services.registry, "sky"):
        seen = client.open(query.id)
        assert len(seen.result()) == 500
        with pytest.raises(PachonClientError, match=r"Release sky is archived.* and not queried any more"):
            seen.run()
        with pytest.raises(RequestError, match=r"Release sky is archived.* and not queried any more"):
            seen.rerun("sky", instead_of="sky")
        assert [version.number for version in seen.versions()] == [1]
        assert seen.note("moved on").rerun("future").wait(30, on_change=lambda _: None).state == "COMPLETED"
    assert len(query.result(version=1)) == 500


def test_whatever_is_asked_of_a_query_that_was_deleted_elsewhere_is_answered_by_one_sentence(client: Client) -> None:
    gone = client.ask(STARS, "gone").wait(30, on_change=lambda _: None)
    client.open(gone.id).delete()
    acts: list[Callable[[], object]] = [
        *(gone.refresh, gone.run, gone.fork, gone.versions, gone.result, gone.delete),
        *(lambda: gone.note("x"), lambda: gone.restore(1), lambda: gone.diff(1), lambda: gone.share(public=True)),
    ]
    for act in acts:
        with pytest.raises(NotFoundError) as raised:
            act()
        assert str(raised.value) == f"There is no query '{gone.id}' that you may see."
