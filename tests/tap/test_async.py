"""Asynchronous TAP against a live server, as TAP 1.1 and UWS 1.1 have it."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse

from pachon.app import wiring
from pachon.app.settings import JobSettings
from pachon.app.web import create_app
from pachon.identity.models import Scope
from pachon.queries.admission import Asker
from pachon.queries.estimate.models import TimeClass
from pachon.queries.models import Phase
from pachon.vo.formats import FORMATS
from support.app import AS_HOLDER, AS_VISITOR, Site, running_site, serving
from support.jobs import FIVE, UWS, files, finished, get, make, message, phase, post, told, until

XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
LONG = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.dec, b.ra) > 179.9"
"""Takes minutes, and gives no row before its end."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("tap"))) as running:
        yield running


@pytest.fixture
def sibling(site: Site) -> Iterator[httpx.Client]:
    """Another API process on the same state, which executes no jobs."""
    jobs = JobSettings(running_per_process=0)
    services = wiring.build(site.services.settings.model_copy(update={"jobs": jobs}))
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(create_app(services), listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield client


def test_a_job_waits_for_parameters_and_runs_when_it_is_told(site: Site) -> None:
    path = make(site, "SELECT nonsense", unknown="ignored")
    assert phase(site, path) == "PENDING"
    assert post(site, f"{path}/parameters", QuErY=FIVE, runid="my <run>").status_code == 303
    pairs = {one.get("id"): one.text for one in told(get(site, f"{path}/parameters"))}
    assert pairs == {"lang": "ADQL", "query": FIVE, "runid": "my <run>"}

    run = post(site, f"{path}/phase", phase="run")

    assert (run.status_code, run.headers["location"]) == (303, f"{site.url}{path}")
    assert finished(site, path) == "COMPLETED"
    document = told(get(site, path))
    assert document.findtext(f"{UWS}runId") == "my <run>"
    (result,) = document.find(f"{UWS}results")
    assert result.get(XLINK_HREF) == f"{site.url}{path}/results/result"
    moments = [document.findtext(f"{UWS}{name}") for name in ("creationTime", "startTime", "endTime", "destruction")]
    assert moments == sorted(moments)
    for leaf, content in (("phase", "COMPLETED"), ("quote", ""), ("executionduration", "3600"), ("owner", "novice")):
        answer = get(site, f"{path}/{leaf}")
        assert (answer.text, answer.headers["content-type"]) == (content, "text/plain; charset=utf-8")
    assert get(site, f"{path}/destruction").text == moments[-1]
    assert get(site, f"{path}/error").status_code == 404
    late = post(site, f"{path}/parameters", QUERY="SELECT 1")
    assert (late.status_code, "can be changed while it is PENDING" in message(late)) == (409, True)
    again = post(site, f"{path}/phase", PHASE="RUN")
    assert (again.status_code, "has ended (COMPLETED)" in message(again)) == (409, True)


@pytest.mark.parametrize("form", [form.names[0] for form in FORMATS])
def test_the_result_comes_in_every_format_as_the_synchronous_answer_does(site: Site, form: str) -> None:
    given = {"LANG": "ADQL", "QUERY": "SELECT * FROM sky.stars", "MAXREC": "3000", "RESPONSEFORMAT": form}
    given["QUERY"] += " WHERE id < 9007199254742993 ORDER BY id"
    asked = site.client.post("/api/tap/sync", data=given)
    path = make(site, given["QUERY"], headers=None, PHASE="RUN", MAXREC="3000", responseformat=form)
    assert finished(site, path, None) == "COMPLETED"

    answer = get(site, f"{path}/results/result", None)

    run, other = answer.headers["x-pachon-execution"], asked.headers["x-pachon-execution"]
    assert answer.headers["content-type"] == asked.headers["content-type"]
    if form == "parquet":  # its row groups follow the batches
        read = [pq.read_table(io.BytesIO(one.content)) for one in (answer, asked)]
        assert read[0].equals(read[1])
    elif form == "arrow":
        assert pa.ipc.open_stream(answer.content).read_all().equals(pa.ipc.open_stream(asked.content).read_all())
    else:
        assert answer.content.replace(run.encode(), b"") == asked.content.replace(other.encode(), b"")
    head = site.client.head(f"{path}/results/result")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", answer.headers["content-type"])


def test_overflow_warnings_and_the_run_are_told_in_the_result_of_a_job(site: Site) -> None:
    path = make(site, "SELECT id, 5/2 AS half FROM sky.stars", PHASE="RUN", MAXREC="7", RUNID="r1")
    assert finished(site, path) == "COMPLETED"
    answer = get(site, f"{path}/results/result")
    infos = {info.name: info.value for info in parse(io.BytesIO(answer.content)).resources[0].infos}
    assert (infos["QUERY_STATUS"], infos["RUNID"]) == ("OVERFLOW", "r1")
    assert infos["warning"].startswith("line 1, column 12: 5/2 is 2")
    run = site.services.executions.get("novice", infos["EXECUTION"])
    assert (run.protocol, run.phase, run.row_count) == ("tap/async", Phase.COMPLETED, 7)


def test_a_job_that_failed_says_why_in_its_document_and_its_error(site: Site) -> None:
    path = make(site, "SELECT g_magg FROM sky.stars", PHASE="RUN", RESPONSEFORMAT="csv")
    assert finished(site, path) == "ERROR"
    document = told(get(site, path))
    said = str(document.findtext(f"{UWS}errorSummary/{UWS}message"))
    assert said.startswith("line 1, column 8: unknown column 'g_magg'; did you mean g_mag")
    answer = get(site, f"{path}/error")
    assert (answer.status_code, message(answer)) == (200, said)
    missing = get(site, f"{path}/results/result")
    assert (missing.status_code, "has no result: its phase is ERROR" in message(missing)) == (404, True)


def test_a_person_fetches_no_more_results_at_once_than_downloads(site: Site) -> None:
    path = make(site, PHASE="RUN")
    finished(site, path)
    downloads = site.services.downloads
    with ExitStack() as held:
        for _ in range(downloads.limits.max_streams_per_person):
            held.enter_context(downloads.place("novice"))
        refused = get(site, f"{path}/results/result")
    assert (refused.status_code, "downloads under way" in message(refused)) == (503, True)
    for _ in range(downloads.limits.max_streams_per_person + 1):
        assert get(site, f"{path}/results/result").status_code == 200


def test_jobs_are_deleted_with_their_files_by_both_ways(site: Site) -> None:
    for delete in (
        lambda path: site.client.delete(path, headers=AS_HOLDER),
        lambda path: post(site, path, action="delete"),
    ):
        path = make(site, PHASE="RUN")
        finished(site, path)
        assert len(files(site, path)) == 1
        answer = delete(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{site.url}/api/tap/async")
        assert get(site, path).status_code == 404
        assert files(site, path) == []


def test_durations_and_destructions_are_kept_within_the_limits(site: Site) -> None:
    limits = site.services.settings.jobs
    path = make(site)
    for given, kept in (("60", 60), ("0", limits.max_duration_s), ("999999999", limits.max_duration_s)):
        assert post(site, f"{path}/executionduration", EXECUTIONDURATION=given).status_code == 303
        assert get(site, f"{path}/executionduration").text == str(kept)
    soon = datetime.now(tz=UTC).replace(microsecond=0) + timedelta(hours=1)
    assert post(site, f"{path}/destruction", destruction=f"{soon:%Y-%m-%dT%H:%M:%S}").status_code == 303
    assert get(site, f"{path}/destruction").text == f"{soon:%Y-%m-%dT%H:%M:%S}.000Z"
    post(site, f"{path}/destruction", DESTRUCTION="2999-01-01T00:00:00Z")
    latest = datetime.fromisoformat(get(site, f"{path}/destruction").text)
    assert abs(latest - datetime.now(tz=UTC) - timedelta(days=limits.max_destruction_days)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("leaf", "data", "said"),
    [
        ("list", {"QUERY": FIVE, "PHASE": "ABORT"}, "PHASE of a new job must be RUN or left out, not 'ABORT'."),
        ("/phase", {"PHASE": "GO"}, "PHASE must be RUN or ABORT, not 'GO'."),
        ("/phase", {}, "PHASE must be RUN or ABORT, not ''."),
        ("", {"ACTION": "SHRED"}, "ACTION must be DELETE, not 'SHRED'."),
        ("/executionduration", {"EXECUTIONDURATION": "1.5"}, "EXECUTIONDURATION must be a whole number of seconds"),
        ("/executionduration", {"EXECUTIONDURATION": "-1"}, "EXECUTIONDURATION must be 0 (the longest allowed) to"),
        ("/executionduration", {}, "EXECUTIONDURATION is missing"),
        ("/destruction", {"DESTRUCTION": "soon"}, "DESTRUCTION must be a moment such as"),
        ("/destruction", {"DESTRUCTION": "2020-01-01T00:00:00Z"}, "DESTRUCTION must be a moment to come"),
        ("/destruction", {}, "DESTRUCTION is missing"),
        ("/parameters", {"QUERY": "x" * 260_001}, "The parameters of a job may have 260000 characters, not 260014."),
    ],
)
def test_wrong_requests_are_told_what_is_allowed(site: Site, leaf: str, data: dict[str, str], said: str) -> None:
    path = make(site) if leaf != "list" else "/api/tap/async"
    leaf = leaf.removeprefix("list")
    answer = site.client.post(f"{path}{leaf}", data=data, headers=AS_HOLDER)
    assert (answer.status_code, message(answer)[: len(said)]) == (400, said)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("WAIT=long", "WAIT must be a whole number of seconds, or -1 for the longest (60), not 'long'."),
        ("WAIT=1&PHASE=BUSY", "PHASE 'BUSY' is not known; allowed are PENDING, QUEUED, EXECUTING, COMPLETED, ERROR"),
    ],
)
def test_wrong_long_polls_are_told_what_is_allowed(site: Site, query: str, said: str) -> None:
    answer = site.client.get(f"{make(site, headers=None)}?{query}")
    assert (answer.status_code, message(answer)[: len(said)]) == (400, said)


def test_the_list_is_filtered_by_phase_time_and_number(site: Site) -> None:
    session = {"Authorization": "Bearer lister"}
    site.hub.know("lister", "lister", scopes=(Scope.QUERY,))
    first, second = (make(site, headers=session) for _ in range(2))
    ran = make(site, headers=session, PHASE="RUN")
    finished(site, ran, session)
    second_made = told(get(site, second, session)).findtext(f"{UWS}creationTime")

    def listed(query: str) -> list[str]:
        document = told(site.client.get(f"/api/tap/async?{query}", headers=session))
        return [str(one.get(XLINK_HREF)).removeprefix(site.url) for one in document]

    assert listed("") == [first, second, ran]
    assert listed("PHASE=COMPLETED&phase=error") == [ran]
    assert listed("PHASE=PENDING&PHASE=COMPLETED&LAST=2") == [ran, second]
    assert ran in listed(f"AFTER={second_made}")
    assert first not in listed(f"AFTER={second_made}")
    for query in ("LAST=0", "LAST=x", "AFTER=then", "PHASE=BUSY"):
        assert site.client.get(f"/api/tap/async?{query}", headers=session).status_code == 400


def test_a_person_keeps_no_more_jobs_than_allowed(tmp_path: Path) -> None:
    with running_site(tmp_path, jobs=JobSettings(kept_per_person=2, kept_anonymous=1)) as site:
        for _ in range(2):
            make(site)
        refused = post(site, "/api/tap/async", QUERY=FIVE)
        assert (refused.status_code, message(refused)) == (
            400,
            "You keep 2 jobs, the most allowed; delete some that are not needed any more.",
        )
        make(site, headers=AS_VISITOR)
        make(site, headers=None)
        assert "1 jobs, the most allowed; log in" in message(post(site, "/api/tap/async", None, QUERY=FIVE))


def test_pages_of_other_sites_may_make_and_delete_jobs_with_a_token(site: Site) -> None:
    for method in ("POST", "DELETE"):
        asked = {"Origin": "https://aladin.example", "Access-Control-Request-Method": method}
        assert site.client.options("/api/tap/async/x", headers=asked).status_code == 200


def test_a_long_poll_is_answered_within_a_second_of_a_change_made_by_another_process(
    site: Site, sibling: httpx.Client
) -> None:
    path = make(site)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(sibling.get, path, params={"WAIT": "20"}, headers=AS_HOLDER) for _ in range(8)]
        time.sleep(0.5)
        assert not any(one.done() for one in waiting)
        began_s = time.monotonic()
        post(site, f"{path}/phase", PHASE="ABORT")
        phases = {told(one.result()).findtext(f"{UWS}phase") for one in waiting}
        assert time.monotonic() - began_s < 1
    assert phases == {"ABORTED"}


def test_a_long_poll_ends_when_its_time_is_over_and_is_answered_at_once_in_another_phase(site: Site) -> None:
    path = make(site)
    for params, least_s, most_s in (
        ({"WAIT": 1}, 1, 2),
        ({"WAIT": 0}, 0, 0.5),
        ({"WAIT": -1, "PHASE": "EXECUTING"}, 0, 0.5),
    ):
        began_s = time.monotonic()
        assert told(get(site, path, **params)).findtext(f"{UWS}phase") == "PENDING"
        assert least_s <= time.monotonic() - began_s < most_s
    post(site, f"{path}/phase", PHASE="ABORT")
    began_s = time.monotonic()
    get(site, path, WAIT=-1)
    assert time.monotonic() - began_s < 0.5


def test_too_many_long_polls_are_answered_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.services.waiters, "_max_waiting", 0)
    path = make(site)
    began_s = time.monotonic()
    assert told(get(site, path, WAIT=20)).findtext(f"{UWS}phase") == "PENDING"
    assert time.monotonic() - began_s < 2


@contextmanager
def executing(site: Site, **more: str) -> Iterator[str]:
    path = make(site, LONG, PHASE="RUN", **more)
    until(lambda: phase(site, path) == "EXECUTING")
    time.sleep(0.3)
    yield path


@pytest.mark.parametrize("way", ["abort", "delete"])
def test_a_job_that_is_stopped_frees_its_worker_at_once_and_leaves_nothing(
    site: Site, sibling: httpx.Client, way: str
) -> None:
    with executing(site) as path:
        before = len(site.services.engine.worker_pids)
        began_s = time.monotonic()
        heavy = site.services.dispatcher.admissions[TimeClass.HEAVY]
        assert heavy.wait(Asker("another", is_anonymous=False)).position == 1, "the job has the worker"
        if way == "abort":
            sibling.post(f"{path}/phase", data={"PHASE": "ABORT"}, headers=AS_HOLDER)
        else:
            sibling.delete(path, headers=AS_HOLDER)
        next_one = make(site, PHASE="RUN")
        assert finished(site, next_one) == "COMPLETED"
        assert time.monotonic() - began_s < 8
    assert files(site, path) == []
    assert len(site.services.engine.worker_pids) == before
    until(lambda: heavy.wait(Asker("another", is_anonymous=False)).position == 0)
    newest = site.services.executions.list("novice", limit=3)
    assert Phase.ABORTED in {run.phase for run in newest if run.query == LONG}
    if way == "delete":
        assert get(site, path).status_code == 404
        return
    assert get(site, f"{path}/phase").text == "ABORTED"
    answer = get(site, f"{path}/error")
    assert (answer.status_code, message(answer).endswith("was aborted by its owner.")) == (200, True)
    assert told(get(site, path)).findtext(f"{UWS}errorSummary/{UWS}message") == message(answer)


def test_a_job_over_its_execution_duration_is_aborted_with_the_reason(site: Site) -> None:
    path = make(site, LONG)
    post(site, f"{path}/executionduration", EXECUTIONDURATION="1")
    post(site, f"{path}/phase", PHASE="RUN")
    assert finished(site, path) == "ABORTED"
    assert message(get(site, f"{path}/error")).startswith("The query ran longer than the 1 s allowed")
    assert files(site, path) == []


def test_changes_of_phase_are_in_the_owners_event_stream(site: Site) -> None:
    after = site.services.outbox.latest_id()
    path = make(site, PHASE="RUN")
    finished(site, path)
    seen = ""
    with site.client.stream("GET", "/api/queries/events", headers={**AS_HOLDER, "Last-Event-ID": str(after)}) as stream:
        for text in stream.iter_text():
            seen += text
            if seen.count("event: job.phase") >= 3 and seen.endswith("\n\n"):
                break
    told_phases = [part.split('"phase": "')[1].split('"')[0] for part in seen.split("event: job.phase")[1:]]
    assert told_phases == ["QUEUED", "EXECUTING", "COMPLETED"]
