from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

TOKEN = "a-token-of-the-test"
START_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[str]:
    """Address of a JupyterLab server that runs alone, as the hub would start it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0", "--ip=127.0.0.1"]
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_TOKEN": TOKEN,
        "PACHON_API_URL": "http://127.0.0.1:8000/api",
    }
    with (home.parent / "lab.log").open("wb") as log:
        command = [sys.executable, "-m", "jupyterlab", *options, "--ServerApp.base_url=/user/ada/"]
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}/user/ada"
            _wait_until_it_answers(process, f"{address}/api")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not answer at {url}; exit status {process.poll()}")


def test_the_front_end_learns_where_the_doors_lead(lab: str) -> None:
    answer = httpx.get(f"{lab}/pachon/config", headers={"Authorization": f"token {TOKEN}"})
    assert answer.json() == {
        "portal": "http://127.0.0.1:8000/portal/",
        "api": "http://127.0.0.1:8000/api/docs",
        "documentation": "http://127.0.0.1:8000/",
        "tutorial": "tutorials/01-first-light.ipynb",
    }


def test_strangers_learn_nothing(lab: str) -> None:
    assert httpx.get(f"{lab}/pachon/config").status_code == 403


def test_the_tutorials_are_in_the_home_and_the_front_end_is_served(lab: str, home: Path) -> None:
    assert (home / "tutorials" / "01-first-light.ipynb").is_file()
    page = httpx.get(f"{lab}/lab", headers={"Authorization": f"token {TOKEN}"}).text
    assert '"name": "pachon-lab"' in page
    module = httpx.get(f"{lab}/lab/extensions/pachon-lab/static/remoteEntry.js")
    assert module.status_code == 200
    assert "pachon-lab:doors" in module.text
