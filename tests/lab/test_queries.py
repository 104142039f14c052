"""The lab's server over real Web APIs: the panel, cells that are sent, runs, events, and notebooks of queries."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest

from pachon.identity.models import Scope
from pachon_client import Client
from support.app import HOLDER, Site, running_site
from support.archiving import archived
from support.jobs import finished, make, until
from support.lab_server import AS_OWNER, running_lab
from support.skies import FIRST_ID

LONG = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.dec, b.ra) > 179.9"
"""Takes minutes, and gives no row before its end."""
STARS = f"SELECT id, ra, dec, name FROM sky.stars WHERE id < {FIRST_ID + 2000}"
MATE = "token-of-mate"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        running.hub.know(MATE, "mate", groups=("rights-holders",), scopes=(Scope.QUERY,))
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("templates")


@pytest.fixture(scope="module")
def lab(site: Site, home: Path, templates: Path) -> Iterator[httpx.Client]:
    environment = {
        "PACHON_API_URL": f"{site.url}/api",
        "JUPYTERHUB_API_TOKEN": HOLDER,
        "PACHON_NOTEBOOK_TEMPLATES": str(templates),
    }
    with (
        running_lab(home, environment) as address,
        httpx.Client(base_url=f"{address}/pachon/", headers=AS_OWNER, timeout=30, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def mate(site: Site) -> Iterator[Client]:
    with Client(f"{site.url}/api", MATE) as client:
        yield client


@pytest.fixture
def novice(site: Site) -> Iterator[Client]:
    with Client(f"{site.url}/api", HOLDER) as client:
        yield client


def send(lab: httpx.Client, cell: str, **more: Any) -> dict[str, Any]:
    answer = lab.post("queries", json={"cell": cell, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def laid(lab: httpx.Client, query_id: str, **given: Any) -> tuple[str, bool]:
    answer = lab.post(f"queries/{query_id}/notebook", json=given)
    assert answer.status_code == 200, answer.text
    return answer.json()["path"], answer.json()["is_new"]


def message(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["message"]


def test_a_cell_becomes_a_query_that_runs_and_then_its_next_version(lab: httpx.Client, novice: Client) -> None:
    unqualified = STARS.replace("sky.stars", "stars")
    first = send(lab, f"%%adql --to r --release sky\n{unqualified}\n", name="from a cell")
    query = novice.open(first["id"]).wait(30)
    assert (query.name, query.adql, query.state, query.row_count) == ("from a cell", STARS, "COMPLETED", 2000)
    assert query.document["current"]["run"]["client"] == "JupyterLab"
    tie = {"query_id": query.id, "version": query.version}
    fewer = f"{STARS} AND dec > 0"
    second = send(lab, f'adql = """{fewer}"""\nquery.edit(adql=adql)', tie=tie)
    assert (second["id"], second["current"]["number"]) == (query.id, 2)
    assert novice.open(query.id).wait(30).adql == fewer


def test_a_cell_that_names_its_query_goes_to_that_query_with_its_limit(lab: httpx.Client, novice: Client) -> None:
    made = novice.ask(STARS, "of the magic", max_rows=5).wait(30)
    sent = send(lab, f'%%adql --name "of the magic" --maxrec 7\n{STARS}', name="the notebook")
    assert (sent["id"], sent["current"]["number"]) == (made.id, 2)
    assert (made.refresh().max_rows, len(made.result())) == (7, 7)
    other = send(lab, f"%%adql --name other\n{STARS}", name="the notebook")
    assert (other["current"]["name"], other["current"]["max_rows"]) == ("other", None)


def test_what_others_wrote_meanwhile_stays_as_a_version(lab: httpx.Client, novice: Client) -> None:
    query = novice.open(send(lab, STARS)["id"]).wait(30)
    tie = {"query_id": query.id, "version": query.version}
    query.edit(adql=f"{STARS} AND dec > 0", note="quicker")
    send(lab, f"{STARS} AND dec < 0", tie=tie)
    texts = {version.number: version.adql[len(STARS) :] for version in query.versions()}
    assert texts == {1: "", 2: " AND dec > 0", 3: " AND dec < 0"}


def test_who_may_only_read_a_query_changes_a_copy_of_their_own(lab: httpx.Client, mate: Client) -> None:
    query = mate.ask(STARS, "of the mate").wait(30)
    query.share(person="novice")
    sent = send(lab, f"{STARS} AND dec > 0", tie={"query_id": query.id, "version": 1})
    assert (sent["owner"], sent["parent"]) == ("novice", query.citation)
    assert query.refresh().adql == STARS


def test_the_panel_has_queries_that_are_mine_or_shared_with_me_and_hold_the_words(
    lab: httpx.Client, mate: Client, novice: Client
) -> None:
    mine = novice.ask(STARS, "pulsating stars").wait(30)
    theirs = mate.ask(STARS, "pulsating nebulae")
    theirs.share(person="novice")
    hidden = mate.ask(STARS, "pulsating secrets")
    found = lab.get("queries", params={"text": "pulsating"}).json()
    assert [query["id"] for query in found["mine"]] == [mine.id]
    assert [query["id"] for query in found["shared"]] == [theirs.id]
    assert hidden.id not in json.dumps(found)
    assert found["runs"] == []


def test_one_sentence_tells_that_a_cell_holds_no_query_or_a_wrong_one(lab: httpx.Client) -> None:
    assert "There is no ADQL in this cell" in message(lab.post("queries", json={"cell": "x = 1"}), 400)
    wrong = message(lab.post("queries", json={"cell": "SELECT nothing FROM sky.stars"}), 400)
    assert "nothing" in wrong
    assert "line 1" in wrong
    unknown = message(lab.post("queries", json={"cell": "%%adql --release none\nSELECT ra FROM stars"}), 404)
    assert "none" in unknown


def test_a_query_becomes_a_notebook_once_and_what_its_owner_did_to_it_stays(
    lab: httpx.Client, home: Path, novice: Client
) -> None:
    query = novice.ask(STARS, 'Étoiles "A" / ../\\n').wait(30)
    path, is_new = laid(lab, query.id)
    assert (path, is_new) == (f"queries/etoiles-a-n-{query.id}.ipynb", True)
    notebook = nbformat.read(home / path, as_version=4)
    nbformat.validate(notebook)
    tie = {"query_id": query.id, "version": 1}
    assert notebook.metadata["pachon"] == tie
    assert all(cell.metadata["pachon"] == tie for cell in notebook.cells)
    notebook.cells[0].source = "mine now"
    nbformat.write(notebook, home / path)
    assert laid(lab, query.id) == (path, False)
    assert laid(lab, query.id, fresh=True) == (path.replace(".ipynb", "-2.ipynb"), True)
    query.note("another version")
    assert laid(lab, query.id) == (path.replace(".ipynb", "-3.ipynb"), True)
    assert nbformat.read(home / path, as_version=4).cells[0].source == "mine now"


def test_templates_of_an_administrator_are_offered_and_a_failing_one_is_told_in_one_sentence(
    lab: httpx.Client, home: Path, templates: Path, novice: Client
) -> None:
    query = novice.ask(STARS, "rendered")
    cell = nbformat.v4.new_code_cell("# {{ query.current.name }}")
    for name, more in (("survey", "{% if query.releases == [] %}x{% endif %}"), ("broken", "{{ query.colour }}")):
        notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_markdown_cell(more)])
        nbformat.write(notebook, templates / f"{name}.ipynb")
    (templates / "torn.ipynb").write_text("{")
    assert lab.get("queries").json()["templates"] == ["query", "broken", "survey", "torn"]
    path, _ = laid(lab, query.id, template="survey")
    assert [cell.source for cell in nbformat.read(home / path, as_version=4).cells] == ["# rendered"]
    address = f"queries/{query.id}/notebook"
    fails = "The template broken.ipynb fails in cell 2: 'dict object' has no attribute 'colour'."
    assert message(lab.post(address, json={"template": "broken"}), 500) == fails
    torn = message(lab.post(address, json={"template": "torn"}), 500)
    assert torn.startswith("The template torn.ipynb cannot be read as a notebook")
    assert "there are query, broken" in message(lab.post(address, json={"template": "none"}), 404)


def test_a_query_of_somebody_else_is_opened_by_its_link_and_by_nothing_else(
    lab: httpx.Client, home: Path, mate: Client
) -> None:
    query = mate.ask(STARS, "by link")
    address = f"queries/{query.id}/notebook"
    unseen = message(lab.post(address, json={}), 404)
    assert query.id in unseen
    share = query.share()
    path, _ = laid(lab, query.id, link=share.token)
    assert str(share.token) in (home / path).read_text()


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(lab: httpx.Client, home: Path, novice: Client) -> None:
    query = novice.ask(STARS, "nowhere to go")
    (home / "queries").rename(home / "aside")
    (home / "queries").write_text("a file in the way")
    try:
        told = message(lab.post(f"queries/{query.id}/notebook", json={}), 500)
    finally:
        (home / "queries").unlink()
        (home / "aside").rename(home / "queries")
    assert told.startswith("The notebook cannot be written to queries/: ")


def test_a_run_of_any_program_is_told_within_a_second_and_kept(lab: httpx.Client, site: Site, novice: Client) -> None:
    with lab.stream("GET", "queries/events") as events:
        lines = events.iter_lines()
        assert next(lines).startswith(": connected")
        asked_at = time.monotonic()
        with httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {HOLDER}"}, trust_env=False) as topcat:
            job = topcat.post(
                "/api/tap/async",
                data={"LANG": "ADQL", "QUERY": STARS, "PHASE": "RUN"},
                headers={"User-Agent": "TOPCAT/4.9"},
            )
        told = next(line for line in lines if line.startswith("data:") and '"TOPCAT"' in line)
        assert time.monotonic() - asked_at < 1
    job_id = job.headers["Location"].rpartition("/")[2]
    assert json.loads(told[5:])["id"] == job_id
    kept = lab.post("queries", json={"job": job_id}).json()
    assert kept["current"]["adql"] == STARS
    assert novice.open(kept["id"]).wait(30).row_count == 2000
    assert next(run for run in lab.get("queries").json()["runs"] if run["client"] == "TOPCAT")["query"] == STARS


def test_what_runs_is_shown_with_its_text_and_cancelled(lab: httpx.Client, site: Site, novice: Client) -> None:
    query = novice.ask(LONG, "a long wait")
    job = make(site, LONG, PHASE="RUN").rpartition("/")[2]
    until(lambda: next(iter(lab.get("queries").json()["mine"]))["state"] == "EXECUTING")
    running = {entry["query"]: entry for entry in lab.get("queries").json()["running"]}
    assert (running[query.id]["name"], running[None]["job"], running[None]["name"]) == ("a long wait", job, LONG)
    for entry in running.values():
        assert lab.post(f"jobs/{entry['job']}/cancel").status_code == 200
    assert query.wait(30).state == "ABORTED"
    assert finished(site, f"/api/tap/async/{job}") == "ABORTED"
    gone = message(lab.post("jobs/00000000000000000000000000/cancel"), 404)
    assert "00000000000000000000000000" in gone


def test_a_query_whose_release_was_archived_becomes_a_notebook_and_says_why_it_does_not_run(
    lab: httpx.Client, home: Path, site: Site, novice: Client
) -> None:
    query = novice.ask(STARS, "of an archive").wait(30)
    with archived(site.services.registry, "sky"):
        path, _ = laid(lab, query.id)
        told = lab.post(f"queries/{query.id}/run", json={})
    assert STARS in (home / path).read_text()
    assert "Release sky is archived" in message(told, told.status_code)
    assert told.status_code in range(400, 500)
    assert query.refresh().version == 1


def test_a_folder_full_of_notebooks_of_one_query_is_told_in_one_sentence_and_stays_as_it_is(
    lab: httpx.Client, home: Path, novice: Client
) -> None:
    query = novice.ask(STARS, "again and again")
    path, _ = laid(lab, query.id)
    for number in range(2, 51):
        (home / path).with_name(f"{Path(path).stem}-{number}.ipynb").write_text(f"mine, {number}")
    before = {file.name: file.read_bytes() for file in (home / "queries").iterdir() if file.is_file()}
    told = message(lab.post(f"queries/{query.id}/notebook", json={"fresh": True}), 409)
    assert told == "There are 50 notebooks of this query in queries/ already: delete or rename some."
    assert {file.name: file.read_bytes() for file in (home / "queries").iterdir() if file.is_file()} == before
