"""Real clients run jobs on a live server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvo
import requests

from support.app import HOLDER, Site, running_site
from support.jobs import FIVE
from support.stilts import needs_stilts


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("tap"))) as running:
        yield running


def test_pyvo_runs_a_job_in_its_owners_name_from_submission_to_deletion(site: Site, session: requests.Session) -> None:
    session.headers["Authorization"] = f"Bearer {HOLDER}"
    tap = pyvo.dal.TAPService(f"{site.url}/api/tap", session=session)

    job = tap.submit_job("SELECT TOP 3 id FROM future.stars ORDER BY id", maxrec=100)
    assert (job.phase, job.owner, job.uws_version) == ("PENDING", "novice", "1.1")
    job.query = "SELECT TOP 4 id FROM future.stars ORDER BY id"
    job.execution_duration = 77
    assert int(job.execution_duration.sec) == 77
    job.run().wait()

    assert job.phase == "COMPLETED"
    assert len(job.fetch_result()) == 4
    assert job.job_id in {listed.jobid for listed in tap.get_job_list()}
    url = job.url
    job.delete()
    assert session.get(url).status_code == 404


def test_pyvo_shows_why_a_job_failed(site: Site, session: requests.Session) -> None:
    tap = pyvo.dal.TAPService(f"{site.url}/api/tap", session=session)
    with pytest.raises(pyvo.dal.DALQueryError, match=r"line 1, column 15: unknown table 'sky\.strs'; did you mean"):
        tap.run_async("SELECT * FROM sky.strs")


def test_astroquery_runs_a_job_that_it_starts_as_it_makes_it(site: Site) -> None:
    program = (
        "from astroquery.utils.tap.core import TapPlus\n"
        f"job = TapPlus(url='{site.url}/api/tap').launch_job_async({FIVE!r})\n"
        "print(job.get_phase(), *job.get_results()['id'], sep=',')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    expected = sorted(site.stars["id"].to_pylist())[:5]
    assert done.stdout.splitlines()[-1:] == [",".join(["COMPLETED", *map(str, expected)])], done.stderr


@needs_stilts
def test_stilts_runs_a_job_and_deletes_it(site: Site) -> None:
    command = ["stilts", "tapquery", "sync=false", f"tapurl={site.url}/api/tap", f"adql={FIVE}", "ofmt=csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, len(done.stdout.split())) == (0, 1 + 5 * 2), done.stderr
    assert done.stderr.split()[-1] == "DELETED"
