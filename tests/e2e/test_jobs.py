"""Jobs outlive the process that executes them, and leave nothing behind however they end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from lxml import etree

from support.stack import Platform

pytestmark = pytest.mark.stack

ROWS, STARS = 3_000, 20_000
SLOW = {
    "LANG": "ADQL",
    "QUERY": "SELECT COUNT(*) AS n FROM sky.stars AS a, TAP_UPLOAD.mine AS m "
    "WHERE DISTANCE(a.ra, a.dec, m.lat, m.lon) >= 0",
    "RESPONSEFORMAT": "csv",
    "UPLOAD": "mine,param:file",
}
"""Some seconds of work, and every pair counts."""
FILE = b"lon,lat\n" + b"".join(b"%d.5,%d.25\n" % (n % 90, n % 360) for n in range(ROWS))


def phase(client: httpx.Client, job: str) -> str:
    return client.get(f"{job}/phase").text


def until(holds: Callable[[], object], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.05)


def executing(client: httpx.Client, *, duration_s: int = 60) -> str:
    """The address of a slow job that executes."""
    job = client.post("/api/tap/async", data=SLOW, files={"file": FILE}, follow_redirects=False).headers["location"]
    client.post(f"{job}/executionduration", data={"EXECUTIONDURATION": str(duration_s)})
    client.post(f"{job}/phase", data={"PHASE": "RUN"})
    until(lambda: phase(client, job) == "EXECUTING", 30)
    return job


def ended(client: httpx.Client, job: str) -> str:
    until(lambda: phase(client, job) in {"COMPLETED", "ERROR", "ABORTED"}, 120)
    return phase(client, job)


def computed_s(platform: Platform) -> float:
    """Processor time of all query workers of the Web APIs up to now; one that waits takes none."""
    family = psutil.Process(platform.pids["api"]).children(recursive=True)
    with suppress(psutil.NoSuchProcess):
        return sum(sum(each.cpu_times()[:2]) for each in family if "pachon.queries.engines" in " ".join(each.cmdline()))
    return computed_s(platform)


def computes(platform: Platform, *, more_than_s: float, within_s: float) -> bool:
    before = computed_s(platform)
    time.sleep(within_s)
    return computed_s(platform) - before > more_than_s


def files(folder: Path) -> list[str]:
    """Files below a folder of processes, but for their locks."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


def files_of(platform: Platform, job: str) -> list[str]:
    name = job.rpartition("/")[2]
    return sorted(
        path.name.removeprefix(name).rpartition(".")[2] for path in (platform.home / "jobs").glob(f"{name}.*")
    )


def test_a_job_whose_process_is_killed_is_run_again_with_its_upload_and_nothing_is_left(platform: Platform) -> None:
    uploads, spill = platform.home / "uploads", platform.home / "spill"
    with platform.visitor() as client:
        job = executing(client)
        done = client.post("/api/tap/async", data=SLOW | {"QUERY": "SELECT TOP 1 id FROM sky.stars", "UPLOAD": ""})
        client.post(f"{done.url}/phase", data={"PHASE": "RUN"})
        until(lambda: any(name.endswith(".parquet") for name in files(uploads)), 60)
        time.sleep(0.5)
        api = psutil.Process(platform.pids["api"])
        family, folders = api.children(recursive=True), [*uploads.iterdir(), *spill.iterdir()]
        os.kill(api.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs(family, timeout=5)
        assert (len(gone), alive) == (len(family), [])
        platform.wait_until_ready(60)

        assert phase(client, job) == "EXECUTING"
        assert files_of(platform, job) == ["sent"]
        assert ended(client, job) == "COMPLETED"
        assert client.get(f"{job}/results/result").text.split() == ["n", str(ROWS * STARS)]
        assert etree.fromstring(client.get(job).content).findtext("{*}results") is not None
        assert ended(client, str(done.url)) == "COMPLETED"

        assert [folder for folder in folders if folder.exists()] == []
        until(lambda: not files(uploads), 5)
        assert files(spill) == []
        assert files_of(platform, job) == ["arrow", "sent"]
        client.delete(job)
        assert files_of(platform, job) == []


@pytest.mark.parametrize("killer", ["limit", "user"])
def test_a_job_that_is_killed_leaves_no_file_and_no_process_that_goes_on(platform: Platform, killer: str) -> None:
    uploads = platform.home / "uploads"
    with platform.visitor() as client:
        job = executing(client, duration_s=1 if killer == "limit" else 60)
        until(lambda: any(name.endswith(".parquet") for name in files(uploads)), 60)
        if killer == "user":
            until(lambda: computes(platform, more_than_s=0.1, within_s=0.5), 60)
            client.post(f"{job}/phase", data={"PHASE": "ABORT"})
        assert ended(client, job) == "ABORTED"
        document = etree.fromstring(client.get(job).content)
        said = "ran longer than the 1 s allowed" if killer == "limit" else "was aborted by its owner"
        assert said in document.findtext(".//{*}message")
        until(lambda: not computes(platform, more_than_s=0.02, within_s=1), 15)
        until(lambda: not files(uploads), 5)
        assert files(platform.home / "spill") == []
        assert files_of(platform, job) == ["sent"]
        client.delete(job)
