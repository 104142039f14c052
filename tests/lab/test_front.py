"""The front end: what is committed is what its sources make, and the wheel brings it without Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "extensions" / "pachon-lab"
BUNDLE = Path("src") / "pachon_lab" / "labextension"
SOURCES = ("front", "style", "package.json", "package-lock.json", "tsconfig.json")


def bundle(folder: Path) -> dict[str, bytes]:
    """What JupyterLab loads, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / BUNDLE).rglob("*"))
        if path.is_file()
    }


def link_or_copy(source: str, target: str) -> None:
    """A second name of a file: thousands of them are made in a moment; a link of packages would change the bundle."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_the_committed_bundle_is_what_the_sources_make_byte_by_byte(tmp_path: Path) -> None:
    installed = PACKAGE / "node_modules" / ".installed"
    lock = PACKAGE / "package-lock.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        pytest.skip("The Node packages of pachon-lab are missing: run tools/system-packages.sh, which needs npm.")
    for name in SOURCES:
        copy = shutil.copytree if (PACKAGE / name).is_dir() else shutil.copy
        copy(PACKAGE / name, tmp_path / name)
    shutil.copytree(PACKAGE / "node_modules", tmp_path / "node_modules", symlinks=True, copy_function=link_or_copy)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["npm", "run", "build"],
        cwd=tmp_path,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert bundle(tmp_path) == bundle(PACKAGE)


def test_the_wheel_brings_front_end_templates_and_tutorials_without_node(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=PACKAGE,
        env={**os.environ, "PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    brought = {name.partition("labextensions/pachon-lab/")[2] for name in names}
    entry = json.loads((PACKAGE / BUNDLE / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    assert {entry, "package.json", "install.json"} <= brought
    assert {"pachon_lab/templates/query.ipynb", "pachon_lab/tutorials/01-first-light.ipynb"} <= set(names)
