"""The environment that `make up` makes: a problem of the machine is one sentence and exit code 2."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("tools", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("pachon-client", "pachon-lab"):
        (tmp_path / "extensions" / name).mkdir(parents=True)
        shutil.copy(ROOT / "extensions" / name / "pyproject.toml", tmp_path / "extensions" / name)
    return tmp_path


def make_environment(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "tools/environment.sh", "platform"],
        cwd=checkout,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def the_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("pachon: ")
    return line


def test_no_python_is_said_in_one_sentence(checkout: Path) -> None:
    assert "install Python 3.11 or newer" in the_sentence(make_environment(checkout, PYTHON="no-such-python"))


def test_no_network_is_said_in_one_sentence(checkout: Path) -> None:
    nowhere, cache = "http://127.0.0.1:9/", str(checkout / "cache")
    done = make_environment(
        checkout,
        PIP_INDEX_URL=nowhere,
        PIP_FIND_LINKS=str(checkout),
        PIP_RETRIES="0",
        PIP_CACHE_DIR=cache,
    )
    assert "No network" in the_sentence(done)
    assert not (checkout / ".venv" / ".environment").exists()


def test_a_browser_that_the_tests_do_not_drive_does_not_count_as_chromium(checkout: Path) -> None:
    programs = checkout / "programs"
    programs.mkdir()
    for name in ("sh", "dirname", "mktemp", "rm", "ls", "cat"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name, does in (("id", "echo 1000"), ("google-chrome", "exit 0"), ("chromium-browser", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        [programs / "sh", "tools/system-packages.sh"],
        cwd=checkout,
        env={"PATH": str(programs), "TMPDIR": str(checkout)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "missing on this machine: chromium" in done.stderr
