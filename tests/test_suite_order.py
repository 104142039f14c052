"""What several test processes share out, and in which order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SAMPLE = """
import os, pathlib, pytest

@pytest.mark.{mark}
@pytest.mark.parametrize("number", range(3))
def test_sample(number):
    with pathlib.Path("told").open("a") as told:
        told.write(f"{{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}} {{pathlib.Path(__file__).stem}}\\n")
"""
MODULES = {
    "test_sky": "usefixtures",
    "e2e/test_jobs": "stack",
    "e2e/test_process_model": "stack",
    "test_map": "browser",
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    marks = "".join(f"\n    {mark}: {mark}" for mark in ("stack", "browser", "catalogues"))
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers ={marks}\n")
    for module, mark in MODULES.items():
        path = tmp_path / "tests" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SAMPLE.format(mark=mark))
    return tmp_path


def run(suite: Path, *options: str) -> list[list[str]]:
    """The process and the module of each test, as they ran."""
    plugins = ("-p", "support.suite_order", "-p", "no:cacheprovider")
    environment = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        env={**environment, "PYTHONPATH": str(TESTS)}, cwd=suite, capture_output=True, check=True,
    )  # fmt: skip
    return [line.split() for line in (suite / "told").read_text().splitlines()]


def test_one_process_begins_with_what_is_quick(suite: Path) -> None:
    told = [module for _, module in run(suite)]
    assert told == ["test_sky"] * 3 + ["test_jobs"] * 3 + ["test_process_model"] * 3 + ["test_map"] * 3


def test_several_keep_modules_and_what_they_share_together_and_begin_with_what_is_slow(suite: Path) -> None:
    told = run(suite, "-n", "2", "--no-loadscope-reorder")
    processes = {module: {process for process, name in told if name == module} for _, module in told}
    assert len(told) == 12
    assert all(len(found) == 1 for found in processes.values())
    assert processes["test_jobs"] == processes["test_process_model"] != processes["test_map"]
