"""How long people wait: for a first run from a clone, for the default catalogues, and for every later start."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.figures import ROOT, Figure, save
from pachon.app.settings import DataSettings, Settings
from pachon.preview.build import DEFAULT, build_missing
from pachon.preview.models import LineReporter, Places
from support.stack import platform_environment, running_platform

_STARTS = 5
_FIRST_RUN_TIMEOUT_S = 900
_DOWNLOADS = ROOT / "var" / "downloads"
_PLATFORM = ("platform/src/pachon/app", "platform/src/pachon/hub", "platform/src/pachon/portal")
_DATA = ("platform/src/pachon/preview", "platform/src/pachon/releases/hats")

pytestmark = [pytest.mark.stack, pytest.mark.catalogues]


def test_a_later_start_takes_less_than_twenty_seconds(tmp_path: Path) -> None:
    seconds, loads = [], []
    for _ in range(_STARTS + 1):
        loads.append(os.getloadavg()[0])
        start = time.perf_counter()
        with running_platform(tmp_path, ROOT / "var" / "releases"):
            seconds.append(time.perf_counter() - start)
    first, *later = seconds
    note = (
        f"from the command to four processes answering, median of {_STARTS} ({min(later):.1f} to {max(later):.1f} s); "
        f"with a new home {first:.1f} s; load of the machine before each {min(loads):.1f} to {max(loads):.1f}"
    )
    _keep("start-up, data present", statistics.median(later), 20, paths=_PLATFORM, note=note)


def test_the_default_catalogues_are_built_within_a_minute_and_a_half(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, data=DataSettings(packages_path=_DOWNLOADS))
    start = time.perf_counter()
    build_missing(Places.from_settings(settings), LineReporter(print))
    took_s = time.perf_counter() - start
    built = [catalogue for catalogue in DEFAULT if (settings.releases_path / catalogue.id).is_dir()]
    rows = sum(catalogue.row_count for catalogue in built)
    names = ", ".join(catalogue.id for catalogue in built)
    note = f"{names}: {rows:,} rows, {rows / took_s:,.0f} a second; downloads at hand"
    _keep("build of the default catalogues", took_s, 90, paths=_DATA, note=note)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed, in which nothing was made yet."""
    folder = tmp_path_factory.mktemp("first") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def first_run(clone: Path) -> tuple[float, str]:
    """How long the first `make up` takes in it, in seconds, and where its packages came from."""
    packages = _packages_at_hand()
    return _make_up(clone), packages


def test_a_first_run_takes_less_than_five_minutes(first_run: tuple[float, str]) -> None:
    took_s, packages = first_run
    note = f"`make up` in a new clone to the printed address; packages from {packages}, catalogue files at hand"
    _keep("first run", took_s, 300, paths=("requirements", "tools", "platform/src/pachon/app", *_DATA), note=note)


@pytest.mark.usefixtures("first_run")
def test_a_later_make_up_over_the_default_catalogues_takes_less_than_twenty_seconds(clone: Path) -> None:
    before = os.getloadavg()[0]
    seconds = [_make_up(clone) for _ in range(_STARTS)]
    note = (
        f"`make up` again in that clone, default catalogues present, to the printed address; median of {_STARTS} "
        f"({min(seconds):.1f} to {max(seconds):.1f} s); load of the machine before {before:.1f}"
    )
    _keep("later make up", statistics.median(seconds), 20, paths=("tools", *_PLATFORM, *_DATA), note=note)


def _packages_at_hand() -> str:
    """Where packages come from: the installer's cache, or a package index."""
    found = subprocess.run([ROOT / ".venv/bin/uv", "cache", "dir"], capture_output=True, text=True, check=True)
    unpacked = Path(found.stdout.strip()).glob("archive-*/*")
    return "the installer's cache" if any(unpacked) else "a package index, with the installer's cache empty"


def _make_up(clone: Path) -> float:
    """Seconds from `make up` to the printed address; it is stopped then."""
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    environment = platform_environment(None, {"PACHON_DATA__PACKAGES_PATH": str(_DOWNLOADS), "PYTHON": python})
    said = clone / "up.txt"
    start = time.perf_counter()
    with said.open("wb") as output:
        made = subprocess.Popen(
            ["make", "up"], cwd=clone, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        return _wait_for_address(made, said, start)
    finally:
        if made.poll() is None:
            os.killpg(made.pid, signal.SIGINT)
        made.wait(60)


def _wait_for_address(made: subprocess.Popen[bytes], said: Path, start: float) -> float:
    while "Pachon is up" not in said.read_text():
        took_s = time.perf_counter() - start
        assert took_s < _FIRST_RUN_TIMEOUT_S, said.read_text()
        if made.poll() is not None and "No network" in said.read_text():
            pytest.skip("a package index is missing: no network")
        assert made.poll() is None, said.read_text()
        time.sleep(0.2)
    return time.perf_counter() - start


def _keep(name: str, value_s: float, limit_s: float, *, paths: tuple[str, ...], note: str) -> None:
    passed = value_s < limit_s
    figure = Figure(
        name=name, value=round(value_s, 1), unit="s", target=f"< {limit_s:g}", passed=passed, paths=paths, note=note
    )
    save([figure])
    assert passed, note
