"""Queries with tables that come with them, by real clients and by hand."""

from __future__ import annotations

import errno
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from astropy.table import Table as Frame

from pachon.app.settings import ReceivingSettings, UploadSettings
from pachon.core.errors import LimitError
from pachon.core.sky import Cone
from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.queries.admission import Asker
from pachon.queries.engines.pool import WorkerPool
from pachon.queries.engines.worker import WorkerProcess
from pachon.queries.estimate.models import TimeClass
from pachon.queries.estimate.service import Estimator
from pachon.queries.jobs.models import JobPhase
from pachon.queries.jobs.spool import StagedFiles
from pachon.queries.uploads.models import UploadLimits, uploads_of
from pachon.queries.uploads.staging import Staging
from pachon.queries.uploads.storage import UploadFolder
from support.app import AS_HOLDER, AS_VISITOR, Site, running_site
from support.stilts import needs_stilts

PLACES = b"n,ra,dec\n1,10.0,-5\n2,200.5,30\n3,359.9,89\n"
LIST = "SELECT n, ra, dec FROM TAP_UPLOAD.mine ORDER BY n"


class _Pages(http.server.BaseHTTPRequestHandler):
    """A foreign server: a list, and addresses that lead elsewhere."""

    def do_GET(self) -> None:
        leads_to = {"/moved": "/list", "/away": f"http://localhost:{self.server.server_port}/list", "/round": "/round"}
        place = leads_to.get(self.path)
        self.send_response(302 if place else 200 if self.path == "/list" else 404)
        if place:
            self.send_header("Location", place)
        self.end_headers()
        self.wfile.write(PLACES)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def foreign_server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def foreign() -> Iterator[int]:
    with foreign_server() as port:
        yield port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, foreign: int) -> Iterator[Site]:
    hosts = frozenset({f"127.0.0.1:{foreign}"})
    receiving = ReceivingSettings(at_once=2, per_person=1, anonymous=1, wait_s=1, stall_s=3)
    uploads = UploadSettings(hosts=hosts, max_bytes=3_000_000, max_rows=100_000, receiving=receiving)
    with running_site(Path(tmp_path_factory.mktemp("tap")), uploads=uploads) as running:
        yield running


def ask(site: Site, adql: str, *, files: dict[str, Any] | None = None, **given: Any) -> httpx.Response:
    data = {"LANG": "ADQL", "QUERY": adql, "UPLOAD": "mine,param:file", "RESPONSEFORMAT": "arrow", **given}
    return site.client.post("/api/tap/sync", data=data, files=files or {"file": PLACES})


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return found


def refusal(answer: httpx.Response) -> str:
    assert answer.status_code in {400, 403, 404}, answer.status_code
    (status,) = [info for info in parse(io.BytesIO(answer.content)).resources[0].infos if info.name == "QUERY_STATUS"]
    return str(status.content)


def files_left(site: Site) -> list[Path]:
    (folder,) = site.services.settings.uploads_path.iterdir()
    return [path for path in folder.iterdir() if path.name != "lock"]


def until(holds: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def test_two_uploads_join_each_other_and_a_catalogue_and_leave_nothing(site: Site) -> None:
    ids = site.stars["id"].to_pylist()[:2]
    names = f"id,label\n{ids[0]},one\n{ids[1]},two\n".encode()
    adql = (
        "SELECT u.label, o.n, s.ra FROM tap_upload.mine AS u JOIN sky.stars AS s ON s.id = u.id, "
        "TAP_UPLOAD.other AS o WHERE o.n = 3 ORDER BY u.label"
    )
    given = {"UPLOAD": ["mine,param:names", "other,param:places"]}
    found = rows(ask(site, adql, files={"names": names, "places": PLACES}, **given))

    assert [(row["label"], row["n"]) for row in found] == [("one", 3), ("two", 3)]
    assert [row["ra"] for row in found] == site.stars["ra"].to_pylist()[:2]
    assert until(lambda: files_left(site) == [])


def test_cones_on_an_upload_find_what_brute_force_finds(site: Site) -> None:
    random = np.random.default_rng(7)
    frame = {"n": np.arange(5_000), "ra": random.uniform(0, 360, 5_000), "dec": random.uniform(-90, 90, 5_000)}
    sent = Frame.from_pandas(pa.table(frame).to_pandas()).to_pandas().to_csv(index=False).encode()
    for cone in (Cone(0.1, 89.0, 4.0), Cone(359.9, -10.0, 8.0), Cone(120.0, 45.0, 3.0)):
        circle = f"CIRCLE({cone.ra_deg}, {cone.dec_deg}, {cone.radius_deg})"
        query = f"SELECT n FROM TAP_UPLOAD.mine WHERE 1 = CONTAINS(POINT(ra, dec), {circle})"
        found = {row["n"] for row in rows(ask(site, query, files={"file": sent}))}
        assert found == set(np.flatnonzero(cone.contains(frame["ra"], frame["dec"])).tolist())
        assert found


def test_rows_of_an_upload_without_position_are_in_no_pixel_and_match_nothing(site: Site) -> None:
    sent = {"file": b"n,ra,dec\n1,10,5\n2,,\n3,370,5\n4,20,95\n"}
    pixels = rows(ask(site, "SELECT n, ivo_healpix_index(3, ra, dec) AS h FROM TAP_UPLOAD.mine ORDER BY n", files=sent))
    assert [row["h"] for row in pixels] == [283, None, 283, None]
    same = "ivo_healpix_index(3, a.ra, a.dec) = ivo_healpix_index(3, b.ra, b.dec)"
    pairs = rows(ask(site, f"SELECT a.n FROM TAP_UPLOAD.mine a JOIN TAP_UPLOAD.mine b ON {same}", files=sent))
    assert sorted(row["n"] for row in pairs) == [1, 1, 3, 3]
    outside = "SELECT n FROM TAP_UPLOAD.mine WHERE 0 = CONTAINS(POINT(ra, dec), MOC('3/284')) ORDER BY n"
    assert [row["n"] for row in rows(ask(site, outside, files=sent))] == [1, 3]
    near = [
        "DISTANCE(POINT(ra, dec), POINT(20, 85)) < 180",
        "DISTANCE(POINT(ra, dec), POINT(20, 85)) >= 0",
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(20, 85, 180))",
        "0 = CONTAINS(POINT(ra, dec), CIRCLE(20, 85, 1))",
        "0 = CONTAINS(POINT(ra, dec), BOX(20, 85, 1, 1))",
        "0 = CONTAINS(POINT(ra, dec), POLYGON(20, 85, 21, 85, 20, 86))",
    ]
    for condition in near:
        query = f"SELECT n FROM TAP_UPLOAD.mine WHERE {condition} ORDER BY n"
        assert [row["n"] for row in rows(ask(site, query, files=sent))] == [1, 3], condition


def test_an_upload_is_in_no_metadata_and_other_queries_do_not_see_it(site: Site) -> None:
    seen = rows(ask(site, "SELECT table_name FROM tap_schema.tables"))
    assert seen
    assert not [row for row in seen if "mine" in row["table_name"] or "upload" in row["table_name"].lower()]
    alone = site.client.post("/api/tap/sync", data={"LANG": "ADQL", "QUERY": LIST})
    assert "no table was uploaded as 'mine'" in refusal(alone)


def test_the_worker_that_read_an_upload_serves_nobody_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    borrowed: list[WorkerProcess] = []
    lease = WorkerPool.lease

    def watched(pool: WorkerPool, *, overdue_at: float) -> WorkerProcess:
        borrowed.append(lease(pool, overdue_at=overdue_at))
        return borrowed[-1]

    monkeypatch.setattr(WorkerPool, "lease", watched)
    assert len(rows(ask(site, LIST))) == 3
    assert len(borrowed) == 1
    assert until(lambda: not borrowed[0].alive, timeout_s=20)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"UPLOAD": "mine,param:other"}, "Upload 'mine': the request has no file 'other'; with it came 'file'."),
        ({"QUERY": "SELECT x FROM TAP_UPLOAD.mine"}, "unknown column 'x'"),
        (
            {"UPLOAD": "", "QUERY": "SELECT n FROM TAP_UPLOAD.mine"},
            "no table was uploaded as 'mine': send UPLOAD=mine,",
        ),
        ({"QUERY": "SELECT n FROM TAP_UPLOAD.mne"}, "unknown table 'TAP_UPLOAD.mne'; did you mean TAP_UPLOAD.mine?"),
    ],
)
def test_what_is_wrong_with_a_request_is_told_and_leaves_nothing(
    site: Site, given: dict[str, str], message: str
) -> None:
    assert message in refusal(ask(site, LIST, **given))
    assert until(lambda: files_left(site) == [])


def test_a_body_that_is_no_form_is_refused_as_such(site: Site) -> None:
    answer = site.client.post("/api/tap/sync", json={"LANG": "ADQL", "QUERY": "SELECT 1 AS x FROM sky.stars"})
    assert "The body of this POST is application/json: send the parameters as a form" in refusal(answer)


def test_a_fault_of_the_converter_is_logged_and_never_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer_of = Staging._answer
    faults: list[str] = []

    def gone_astray(staging: Staging, process: subprocess.Popen[str], request: str) -> dict[str, Any]:
        asked = json.loads(request)
        asked["uploads"][0]["path"] = "nowhere"
        told = answer_of(staging, process, json.dumps(asked))
        faults.append(told["kind"])
        return told

    monkeypatch.setattr(Staging, "_answer", gone_astray)
    answer = ask(site, LIST)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert faults == ["Fault"]
    assert "FileNotFoundError" in caplog.text

    form = {"LANG": "ADQL", "QUERY": LIST, "UPLOAD": "mine,param:file", "PHASE": "RUN"}
    made = site.client.post("/api/tap/async", data=form, files={"file": PLACES}, headers=AS_HOLDER)
    place = made.headers["location"]
    assert until(lambda: site.client.get(f"{place}/phase", headers=AS_HOLDER).text == "ERROR", timeout_s=30)
    told = site.client.get(f"{place}/error", headers=AS_HOLDER).text
    assert site.client.delete(place, headers=AS_HOLDER).status_code == 303
    assert "The server failed; the fault is logged." in told
    assert faults == ["Fault", "Fault"]


def test_a_file_that_is_too_large_is_refused_while_it_comes(site: Site) -> None:
    answer = ask(site, LIST, files={"file": b"n\n" + b"1\n" * 4_000_000})
    assert "The file 'file' is larger than the 3,000,000 bytes allowed" in refusal(answer)
    assert until(lambda: files_left(site) == [])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/list", ""),
        ("/moved", ""),
        ("/away", "only the same host is followed"),
        ("/round", "leads elsewhere more than 3 times"),
        ("/nothing", "answers with status 404"),
    ],
)
def test_an_address_of_an_allowed_host_is_read_and_led_astray_by_none(
    site: Site, foreign: int, path: str, message: str
) -> None:
    answer = ask(site, LIST, UPLOAD=f"mine,http://127.0.0.1:{foreign}{path}")
    if message:
        assert message in refusal(answer)
    else:
        assert [row["n"] for row in rows(answer)] == [1, 2, 3]


def test_an_address_of_another_host_is_not_read(site: Site, foreign: int) -> None:
    other = ask(site, LIST, UPLOAD=f"mine,http://localhost:{foreign}/list")
    assert f"is not on an allowed host (allowed are 127.0.0.1:{foreign})" in refusal(other)


def test_a_query_whose_client_leaves_ends_with_its_files_and_its_converter(site: Site) -> None:
    numbers = b"".join(b"%d,%d,5\n" % (n, n % 360) for n in range(22_000))
    with pytest.raises(httpx.ReadTimeout):
        site.client.post(
            "/api/tap/sync",
            data={"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM TAP_UPLOAD.mine AS a, TAP_UPLOAD.mine AS b "
                  "WHERE SIN(a.ra) + SIN(b.ra) > 3", "UPLOAD": "mine,param:file"},
            files={"file": b"n,ra,dec\n" + numbers}, timeout=httpx.Timeout(10, read=1.0),
        )  # fmt: skip
    assert until(lambda: files_left(site) == [])


def test_a_job_takes_files_as_it_is_made_and_later_and_is_its_owners_alone(site: Site) -> None:
    made = site.client.post(
        "/api/tap/async",
        data={"LANG": "ADQL", "QUERY": "SELECT m.n, o.s FROM TAP_UPLOAD.mine AS m JOIN TAP_UPLOAD.other AS o "
              "ON m.n = o.n ORDER BY m.n", "UPLOAD": "mine,param:file", "RESPONSEFORMAT": "csv"},
        files={"file": PLACES}, headers=AS_HOLDER,
    )  # fmt: skip
    job = made.headers["location"]
    late = {"data": {"UPLOAD": "other,param:more"}, "files": {"more": b"n,s\n1,a\n3,c\n"}}
    assert site.client.post(f"{job}/parameters", headers=AS_VISITOR, **late).status_code == 404
    assert site.client.post(f"{job}/parameters", headers=AS_HOLDER, **late).status_code == 303
    kept = list(site.services.settings.jobs_path.glob("*.sent"))
    assert len(kept) == 2
    assert until(lambda: files_left(site) == [])

    site.client.post(f"{job}/phase", data={"PHASE": "RUN"}, headers=AS_HOLDER)
    assert until(lambda: site.client.get(f"{job}/phase", headers=AS_HOLDER).text in {"COMPLETED", "ERROR"}, 30)
    result = site.client.get(f"{job}/results/result", headers=AS_HOLDER)
    assert result.text.split() == ["n,s", "1,a", "3,c"]
    assert site.client.get(f"{job}/results/result", headers=AS_VISITOR).status_code == 404
    site.client.delete(job, headers=AS_HOLDER)
    assert [path for path in kept if path.exists()] == []


def test_conversions_leave_a_turn_to_others_and_who_waits_in_vain_learns_why(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    admission = site.services.tap.uploads._admission
    monkeypatch.setattr(admission, "_limits", replace(admission._limits, timeout_s=0.5))
    place = admission.occupy(Asker("address 192.0.2.1", is_anonymous=True))
    data = {"LANG": "ADQL", "QUERY": LIST, "UPLOAD": "mine,param:file"}
    try:
        waited = site.client.post("/api/tap/sync", data=data, files={"file": PLACES})
        passed = site.client.post("/api/tap/sync", data=data, files={"file": PLACES}, headers=AS_HOLDER)
    finally:
        admission.leave(place)
    assert (waited.status_code, passed.status_code) == (503, 200)
    assert "anonymous visitors have 1 running" in waited.text
    assert "ask it as a job" in waited.text
    assert len(rows(ask(site, LIST))) == 3
    assert until(lambda: files_left(site) == [])


def test_files_of_jobs_of_one_person_have_a_limit_together(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    service = site.services.jobs.jobs
    monkeypatch.setattr(service, "_limits", replace(service._limits, max_sent_bytes_per_person=2 * len(PLACES)))

    def create() -> httpx.Response:
        return site.client.post("/api/tap/async", files={"file": PLACES}, headers=AS_VISITOR)

    first, second, third = (create() for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (303, 303, 400)
    assert f"keep {2 * len(PLACES)} bytes of others" in third.text
    late = site.client.post(f"{first.headers['location']}/parameters", files={"more": b"n"}, headers=AS_VISITOR)
    assert late.status_code == 400
    assert site.client.post("/api/tap/async", files={"file": PLACES}, headers=AS_HOLDER).status_code == 303
    site.client.delete(second.headers["location"], headers=AS_VISITOR)
    assert create().status_code == 303
    assert until(lambda: files_left(site) == [])


def test_files_that_are_on_their_way_count_as_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    service, file = site.services.jobs.jobs, site.services.settings.home / "file"
    monkeypatch.setattr(service, "_limits", replace(service._limits, max_sent_bytes_per_person=10))
    stage, principal = service._spool.stage, Principal("hasty", frozenset(), frozenset({Scope.QUERY}))

    def stage_while_another_comes(files: Mapping[str, Path]) -> StagedFiles:
        with pytest.raises(LimitError, match="keep 6 bytes of others"):
            service.create(principal, (), run=False, files={"more": file})
        return stage(files)

    file.write_bytes(b"123456")
    monkeypatch.setattr(service._spool, "stage", stage_while_another_comes)
    job = service.create(principal, (), run=False, files={"file": file})
    assert list(service._spool.sent(job, ["file"])) == ["file"]
    service.delete(principal, job.id)


@pytest.mark.parametrize("fault", ["disk", "phase"])
def test_a_job_that_cannot_take_new_files_stays_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    data, folder = {"LANG": "ADQL", "QUERY": LIST, "UPLOAD": "mine,param:file"}, site.services.settings.jobs_path
    others = set(folder.glob("*.sent"))
    job = site.client.post("/api/tap/async", data=data, files={"file": PLACES}).headers["location"]
    before = site.client.get(f"{job}/parameters").text

    def fill_the_disk(_path: Path, _place: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def move_while_another_aborts(path: Path, place: Path) -> None:
        path.replace(place)
        site.client.post(f"{job}/phase", data={"PHASE": "ABORT"})

    move = fill_the_disk if fault == "disk" else move_while_another_aborts
    monkeypatch.setattr("pachon.queries.jobs.spool.shutil.move", move)
    answer = site.client.post(f"{job}/parameters", data={"QUERY": "SELECT 1"}, files={"file": b"n\n7\n"})
    assert answer.status_code == (503 if fault == "disk" else 409)
    assert ("No space left on device" if fault == "disk" else "is ABORTED") in answer.text
    assert site.client.get(f"{job}/parameters").text == before
    (kept,) = folder.glob(f"{job.rpartition('/')[2]}.*")
    assert kept.read_bytes() == PLACES
    site.client.delete(job)
    assert set(folder.glob("*.sent")) == others


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("little", TimeClass.SHORT),
        ("many pairs", TimeClass.SCAN),
        ("a large file", TimeClass.SCAN),
        ("a long conversion", TimeClass.SCAN),
    ],
)
def test_a_job_with_uploads_runs_in_the_class_that_its_rows_ask_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, what: str, found: TimeClass
) -> None:
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.mine AS m JOIN TAP_UPLOAD.mine AS o ON m.n = o.n"
    if what == "a large file":
        monkeypatch.setattr("pachon.tap.uploads._SMALL_BYTES", len(PLACES) - 1)
    monkeypatch.setattr("pachon.tap.uploads._SMALL_S", 1e-6 if what == "a long conversion" else 60)
    if what == "many pairs":
        query = "SELECT COUNT(*) AS n FROM sky.stars AS a, TAP_UPLOAD.mine AS m WHERE SIN(a.ra) + SIN(m.ra) > 3"
    content = PLACES if what != "many pairs" else b"n,ra,dec\n" + b"1,2,3\n" * 3_000
    data = {"LANG": "ADQL", "QUERY": query, "UPLOAD": "mine,param:file", "PHASE": "RUN"}
    made = site.client.post("/api/tap/async", data=data, files={"file": content}, headers=AS_HOLDER)
    place, service = made.headers["location"], site.services.jobs.jobs
    novice = Principal("novice", frozenset(), frozenset({Scope.QUERY}))
    assert until(lambda: site.client.get(f"{place}/phase", headers=AS_HOLDER).text in {"COMPLETED", "ERROR"}, 60)
    job = service.get(novice, place.rpartition("/")[2])
    assert (job.phase, job.time_class, job.attempts) == (JobPhase.COMPLETED, found, 1)
    assert (job.expected_s > 1) == (what == "many pairs")
    kept = site.services.executions.get("novice", job.execution_id)
    assert kept.time_class is found
    assert until(lambda: files_left(site) == [])


@contextmanager
def half_a_form(site: Site) -> Iterator[socket.socket]:
    """A request whose files begin to come, and come no further."""
    with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2]))) as connection:
        connection.settimeout(10)
        connection.sendall(
            b"POST /api/tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\nn,ra,dec\r\n'
        )
        yield connection


def test_requests_with_files_come_in_turns_and_one_that_stalls_gives_its_turn_back(site: Site) -> None:
    with half_a_form(site) as slow:
        assert until(lambda: len(site.services.tap.uploads._receiving._places) == 1)
        refused = ask(site, LIST)
        passed = site.client.post(
            "/api/tap/sync",
            data={"LANG": "ADQL", "QUERY": LIST, "UPLOAD": "mine,param:file"},
            files={"file": PLACES},
            headers=AS_HOLDER,
        )
        without_files = site.client.get(
            "/api/tap/sync", params={"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM sky.stars"}
        )
        stalled = slow.recv(65_536).decode()
    assert (refused.status_code, passed.status_code, without_files.status_code) == (503, 200, 200)
    assert int(refused.headers["retry-after"]) >= 5
    assert "This request with files waited 1 s and did not begin" in refused.text
    assert 'name="QUERY_STATUS" value="ERROR"' in refused.text
    assert stalled.startswith("HTTP/1.1 400")
    assert "Nothing more came of the form of this POST for 3 s" in stalled
    assert len(rows(ask(site, LIST))) == 3


def test_values_of_a_form_are_bounded_together(site: Site) -> None:
    values = {f"V{n}": "x" * 900_000 for n in range(6)}
    answer = site.client.post("/api/tap/sync", data=values, files={"file": PLACES})
    assert "The values up to that of V4 are longer than the 4,194,304 bytes allowed" in refusal(answer)


def test_the_files_of_a_job_survive_a_restart(tmp_path: Path) -> None:
    with running_site(tmp_path) as before:
        data = {"LANG": "ADQL", "QUERY": LIST, "UPLOAD": "mine,param:file", "RESPONSEFORMAT": "csv"}
        job = before.client.post("/api/tap/async", data=data, files={"file": PLACES}).headers["location"]
        place = job.removeprefix(before.url)
    with running_site(tmp_path, make=False) as after:
        after.client.post(f"{place}/phase", data={"PHASE": "RUN"})
        assert until(lambda: after.client.get(f"{place}/phase").text in {"COMPLETED", "ERROR"}, 30)
        assert len(after.client.get(f"{place}/results/result").text.split()) == 4


def test_what_a_process_left_is_removed_by_the_next_and_what_another_holds_is_not(tmp_path: Path) -> None:
    program = (
        "import os, sys, time; from pathlib import Path\n"
        "from pachon.queries.uploads.models import UploadLimits\n"
        "from pachon.queries.uploads.storage import UploadFolder\n"
        f"brought = UploadFolder(Path({str(tmp_path)!r}), UploadLimits(reserve_bytes=0)).new_set()\n"
        "brought.receive('x').write(b'secret'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        (theirs,) = tmp_path.iterdir()
        UploadFolder(tmp_path, UploadLimits()).close()
        assert theirs.is_dir()
        process.kill()
    UploadFolder(tmp_path, UploadLimits()).close()
    assert list(tmp_path.iterdir()) == []


def test_an_estimate_of_a_query_on_an_upload_counts_its_rows(site: Site, tmp_path: Path) -> None:
    uploads = site.services.tap.uploads
    place = tmp_path / "file"
    place.write_bytes(b"n,ra,dec\n" + b"".join(b"%d,%d,5\n" % (n, n % 360) for n in range(3_000)))
    staging = uploads._stager.new_staging(tmp_path / "staged")
    (table,) = staging.tables(uploads_of(["mine,param:f"], uploads.limits), lambda _: place)
    plan = site.services.queries._bind(
        ANONYMOUS, "SELECT n FROM TAP_UPLOAD.mine WHERE ra < 36", 10_000, {"TAP_UPLOAD.mine": table.snapshot}
    )
    found = Estimator(site.services.statistics).estimate_plan(plan)
    assert (found.rows_scanned, found.rows) == (3_000, 324)
    assert not list((site.services.settings.home / "statistics").glob("*TAP_UPLOAD*"))


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session that closes what pyvo leaves open."""
    responses: list[requests.Response] = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, *_, **__: responses.append(response))
        yield session
    for response in responses:
        response.close()


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_pyvo_uploads_tables_and_files(site: Site, session: requests.Session, tmp_path: Path) -> None:
    tap = pyvo.dal.TAPService(f"{site.url}/api/tap", session=session)
    frame = Frame({"n": [1, 2], "ra": [10.0, 20.0] * u.deg})
    path = tmp_path / "list.vot"
    frame.write(path, format="votable")

    at_once = tap.run_sync("SELECT * FROM tap_upload.mine", uploads={"mine": frame})
    later = tap.run_async("SELECT * FROM tap_upload.mine", uploads={"mine": str(path)})

    for found in (at_once, later):
        assert (list(found["n"]), list(found["ra"])) == ([1, 2], [10.0, 20.0])
        assert found.to_table()["ra"].unit == u.deg


def test_astroquery_uploads_at_once_and_for_a_job(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "list.vot"
    Frame({"n": [1, 2]}).write(path, format="votable")
    program = (
        "from astroquery.utils.tap.core import TapPlus\n"
        f"tap = TapPlus(url='{site.url}/api/tap')\n"
        f"given = dict(upload_resource={str(path)!r}, upload_table_name='mine')\n"
        "for launch in (tap.launch_job, tap.launch_job_async):\n"
        "    print('found', *launch('SELECT n FROM tap_upload.mine ORDER BY n', **given).get_results()['n'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in done.stdout.splitlines() if line.startswith("found")] == ["found 1 2"] * 2, done.stderr


@needs_stilts
@pytest.mark.parametrize("is_sync", ["true", "false"])
def test_stilts_uploads_a_table(site: Site, tmp_path: Path, is_sync: str) -> None:
    (tmp_path / "list.csv").write_bytes(PLACES)
    given = [f"upload1={tmp_path / 'list.csv'}", "ufmt1=csv", "upname1=mine", "nupload=1", f"sync={is_sync}"]
    assert _stilts("tapquery", f"tapurl={site.url}/api/tap", f"adql={LIST}", *given).split() == [
        "n,ra,dec", "1,10.0,-5", "2,200.5,30", "3,359.9,89"
    ]  # fmt: skip


@needs_stilts
def test_stilts_matches_a_list_with_a_catalogue(site: Site, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(PLACES)
    stars = site.stars.to_pydict()
    near = Cone(359.9, 89.0, 0.5).contains(np.array(stars["ra"]), np.array(stars["dec"]))
    given = [f"in={tmp_path / 'list.csv'}", "ifmt=csv", "inlon=ra", "inlat=dec", "taplon=ra", "taplat=dec", "sr=0.5"]
    found = _stilts("tapskymatch", f"tapurl={site.url}/api/tap", "taptable=sky.stars", "find=all", *given)
    assert sum(line.startswith("3,") for line in found.splitlines()) == near.sum() > 0


def _stilts(*words: str) -> str:
    done = subprocess.run(
        ["stilts", *words, "ofmt=csv"], capture_output=True, text=True, check=False, timeout=90
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_curl_sends_a_form(site: Site, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(PLACES)
    form = ["LANG=ADQL", f"QUERY={LIST}", "UPLOAD=mine,param:x", "RESPONSEFORMAT=csv", f"x=@{tmp_path / 'list.csv'}"]
    command = ["curl", "-sS", *(word for field in form for word in ("-F", field)), f"{site.url}/api/tap/sync"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == ["n,ra,dec", "1,10,-5", "2,200.5,30", "3,359.9,89"]
