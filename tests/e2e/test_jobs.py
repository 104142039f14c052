"""Jobs outlive the process that executes them."""

from __future__ import annotations

import os
import signal
import time

import httpx
import pytest
from lxml import etree

from support.skies import FIRST_ID
from support.stack import Platform

pytestmark = pytest.mark.stack

SLOW = (
    "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b "
    f"WHERE a.id < {FIRST_ID + 4_000} AND DISTANCE(a.ra, a.dec, b.dec, b.ra) >= 0"
)
"""Some seconds of work, and every pair counts."""


def phase(client: httpx.Client, job: str) -> str:
    return client.get(f"{job}/phase").text


def ended(client: httpx.Client, job: str) -> str:
    deadline = time.monotonic() + 120
    while (found := phase(client, job)) not in {"COMPLETED", "ERROR", "ABORTED"}:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_a_job_whose_process_is_killed_is_run_again_and_its_result_is_whole(platform: Platform) -> None:
    with platform.visitor() as client:
        form = {"LANG": "ADQL", "QUERY": SLOW, "RESPONSEFORMAT": "csv", "PHASE": "RUN"}
        job = client.post("/api/tap/async", data=form, follow_redirects=False).headers["location"]
        done = client.post("/api/tap/async", data=form | {"QUERY": "SELECT TOP 1 id FROM sky.stars"})
        while phase(client, job) != "EXECUTING":
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(platform.pids["api"], signal.SIGKILL)
        platform.wait_until_ready(60)

        assert phase(client, job) == "EXECUTING"
        assert ended(client, job) == "COMPLETED"
        assert client.get(f"{job}/results/result").text.split() == ["n", str(4_000 * 20_000)]
        document = etree.fromstring(client.get(job).content)
        assert document.findtext("{*}results") is not None
        assert ended(client, str(done.url)) == "COMPLETED"
        names = [path.name for path in (platform.home / "jobs").glob(f"{job.rpartition('/')[2]}.*")]
        assert names == [f"{job.rpartition('/')[2]}.2.arrow"]
