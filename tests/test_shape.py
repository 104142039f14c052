"""Rules of the repository that no linter knows: sizes, names, and what tracked files must not hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES = 600
FUNCTION_LINES = 60
BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "misc"}
BINARY_SUFFIXES = {".png", ".parquet", ".ico", ".woff2", ".fits", ".gz", ".npy"}

# Put together here so that this file is not a hit itself.
_MACHINE_PATHS = [rf"(?<![\w.<>{{}}$~/*-])/{folder}/\w" for folder in ("wo" + "rk", "ro" + "ot", "t" + "mp")]
_DOWNLOAD_HOSTS = [
    "py" + r"pi\.org", "python" + r"hosted\.org", "registry\\." + r"npmjs\.org", "registry\\." + r"yarnpkg\.com",
    "deb" + r"\.debian\.org", "snapshot" + r"\.debian\.org", "conda\\." + r"anaconda\.org", "jlpm" + r"\.com",
]  # fmt: skip
_WHERE_PATHS_ARE_DATA = {"tests/test_shape.py"}


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files git knows or would add, links and deleted ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of each tracked file that is text."""
    for path in tracked_files():
        if path.suffix not in BINARY_SUFFIXES:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def python_files() -> Iterator[tuple[str, str]]:
    """Name and text of our own modules and tests."""
    return ((name, text) for name, text in texts() if name.endswith(".py"))


def hits(patterns: list[str]) -> list[str]:
    """Lines of tracked files in which one of the patterns is found, as `file:line: text`."""
    pattern = re.compile("|".join(patterns))
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts()
        if name not in _WHERE_PATHS_ARE_DATA and pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_module_is_longer_than_the_limit() -> None:
    lengths = {name: len(text.splitlines()) for name, text in python_files()}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_no_function_is_longer_than_the_limit() -> None:
    long = [
        f"{name}: {node.name} has {lines} lines"
        for name, text in python_files()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := _body_lines(node)) > FUNCTION_LINES
    ]
    assert long == []


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    doc_lines = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc_lines


def test_no_module_hides_the_standard_module_platform() -> None:
    assert [path.name for path in (ROOT / "platform").glob("*.py")] == []


def test_no_module_is_a_grab_bag() -> None:
    assert [name for name, _ in python_files() if Path(name).stem in BANNED_MODULES] == []


def test_notebooks_are_stored_without_outputs() -> None:
    notebooks = [path for path in tracked_files() if path.suffix == ".ipynb"]
    cells = [(path.name, cell) for path in notebooks for cell in json.loads(path.read_text())["cells"]]
    assert notebooks
    assert [name for name, cell in cells if cell.get("outputs") or cell.get("execution_count") is not None] == []


def test_no_tracked_file_holds_a_path_of_one_machine() -> None:
    assert hits(_MACHINE_PATHS) == []


def test_no_tracked_file_names_a_download_host() -> None:
    assert hits(_DOWNLOAD_HOSTS) == []


def test_every_pinned_requirement_has_a_hash_and_no_address() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text().replace("\\\n", " ")
        assert "://" not in text
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert lines
        assert [line[:60] for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_changelog_fragments_are_lists_under_known_headings() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        categories = set(tomllib.load(file)["tool"]["scriv"]["categories"])
    fragments = [path for path in (ROOT / "changelog.d").glob("*.md") if path.name != "README.md"]
    for path in fragments:
        text = path.read_text()
        assert set(re.findall(r"^### (.*)$", text, flags=re.MULTILINE)) <= categories, path.name
        assert re.search(r"^### .*\n+- \S", text, flags=re.MULTILINE), path.name
    assert fragments or "## " in (ROOT / "CHANGELOG.md").read_text()


def test_a_changed_package_brings_a_changelog_fragment() -> None:
    """Compared with the published main branch, where there is one."""
    known = subprocess.run(
        ["git", "merge-base", "origin/main", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if known.returncode != 0:
        pytest.skip("no published main branch to compare with")
    changed = subprocess.run(
        ["git", "diff", "--name-only", "--diff-filter=d", known.stdout.strip(), "HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    if any(name.startswith(("platform/src/", "extensions/")) for name in changed):
        assert [name for name in changed if name.startswith(("changelog.d/", "CHANGELOG.md"))]
