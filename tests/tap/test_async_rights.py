"""Who may have which job, and whose rights count when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pachon.identity.models import Scope
from support.app import AS_NO_SCOPE, AS_VISITOR, Site, running_site
from support.jobs import FIVE, finished, get, make, message, post

LEAVES = (
    "phase", "quote", "executionduration", "destruction", "owner", "error", "parameters", "results", "results/result",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("tap"))) as running:
        yield running


def test_the_job_of_another_person_is_as_good_as_none(site: Site) -> None:
    path = make(site, PHASE="RUN")
    finished(site, path)
    invented = f"{path[:-4]}0000"
    for headers in (AS_VISITOR, None):
        for leaf in ("", *(f"/{leaf}" for leaf in LEAVES)):
            theirs, absent = get(site, path + leaf, headers), get(site, invented + leaf, headers)
            assert theirs.status_code == absent.status_code == 404
            assert theirs.text.replace(path[-26:], "") == absent.text.replace(invented[-26:], "")
        for leaf, data in (
            ("", {"ACTION": "DELETE"}),
            ("/phase", {"PHASE": "ABORT"}),
            ("/executionduration", {"EXECUTIONDURATION": "1"}),
            ("/destruction", {"DESTRUCTION": "2999-01-01T00:00:00Z"}),
            ("/parameters", {"QUERY": "SELECT 1"}),
        ):
            assert post(site, path + leaf, headers, **data).status_code == 404
        assert site.client.delete(path, headers=headers).status_code == 404
        assert path not in site.client.get("/api/tap/async", headers=headers).text
    assert get(site, f"{path}/results/result").status_code == 200


def test_an_anonymous_job_is_there_for_who_knows_its_id_and_listed_to_nobody(site: Site) -> None:
    path = make(site, headers=None, PHASE="RUN")
    for headers in (None, AS_VISITOR):
        assert finished(site, path, headers) == "COMPLETED"
        assert path not in site.client.get("/api/tap/async", headers=headers).text
    post(site, (pending := make(site, "SELECT COUNT(*) AS n FROM future.stars", headers=None)) + "/phase", PHASE="RUN")
    assert finished(site, pending, None) == "ERROR", "it stays anonymous, though a rights holder runs it"


def test_a_token_without_the_scope_makes_and_reads_no_job(site: Site) -> None:
    path = make(site)
    for answer in (post(site, "/api/tap/async", AS_NO_SCOPE, QUERY=FIVE), get(site, path, AS_NO_SCOPE)):
        assert (answer.status_code, "custom:pachon:query" in message(answer)) == (403, True)


def test_rights_are_asked_again_when_a_job_runs_and_when_its_result_is_fetched(site: Site) -> None:
    member = {"Authorization": "Bearer member"}

    def know(*groups: str) -> None:
        site.hub.know("member", "member", groups=groups, scopes=(Scope.QUERY,))

    know("rights-holders")
    names = "SELECT table_name FROM tap_schema.tables"
    paths = [make(site, adql, headers=member) for adql in ("SELECT id FROM future.stars", names, FIVE)]
    for path in paths:
        post(site, f"{path}/phase", member, PHASE="RUN")
        assert finished(site, path, member) == "COMPLETED"
        assert get(site, f"{path}/results/result", member).status_code == 200
    pending = make(site, "SELECT id FROM future.stars", headers=member)

    know()
    closed, described, open_to_all = (get(site, f"{path}/results/result", member) for path in paths)
    post(site, f"{pending}/phase", member, PHASE="RUN")

    assert closed.status_code == described.status_code == 403
    assert message(closed) == "What this result was made from is not yours to read any more: future.stars."
    assert message(described) == "This result was made for a member of rights-holders; run the query again."
    assert open_to_all.status_code == 200
    assert finished(site, pending, member) == "ERROR"
    assert "unknown table 'future.stars'" in message(get(site, f"{pending}/error", member))
    know("rights-holders")
    assert get(site, f"{paths[0]}/results/result", member).status_code == 200
