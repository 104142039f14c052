"""How the programs of the Kubernetes tests come about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster import programs


def test_programs_are_made_anew_when_and_only_when_what_they_are_made_from_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = programs.kubernetes_folder()
    monkeypatch.setattr(programs, "SOURCE", tmp_path)
    for name in ("go.mod", "go.sum", "main.go"):
        (tmp_path / name).write_bytes((programs.ROOT / "tests" / "cluster" / "k8s" / name).read_bytes())
    assert programs.kubernetes_folder() == before
    (tmp_path / "go.sum").write_text("another sum")
    assert programs.kubernetes_folder() != before


def test_a_machine_that_cannot_make_them_says_so_in_a_line_each_and_keeps_nothing_half_made(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "support.cluster.programs"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False,
        env={"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache"), **unreachable},
    )  # fmt: skip
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "could not be made" in line]
    assert [line.split(" could")[0] for line in said] == ["pachon: helm and kubectl", "pachon: Kubernetes"]
    kept = [path.name for path in (tmp_path / "cache" / "pachon" / "cluster").iterdir() if path.suffix != ".lock"]
    assert kept == []
