"""A JupyterLab server that runs alone, as the hub would start it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.stack import free_ports

TOKEN = "a-token-of-the-test"
AS_OWNER = {"Authorization": f"token {TOKEN}"}
_START_TIMEOUT_S = 180


@contextmanager
def running_lab(home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a lab in the folder `home`, which is there, and stop it at the end; yields its address."""
    (port,) = free_ports(1)
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0", "--ip=127.0.0.1"]
    given = {**os.environ, "HOME": str(home), "JUPYTER_TOKEN": TOKEN, **environment}
    with (home.parent / "lab.log").open("wb") as log:
        command = [sys.executable, "-m", "jupyterlab", *options, "--ServerApp.base_url=/user/ada/"]
        process = subprocess.Popen(command, cwd=home, env=given, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}/user/ada"
            _wait_until_it_answers(process, f"{address}/api")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not answer at {url}; exit status {process.poll()}")
