"""Laying the tutorials into a home, without ever touching what its owner changed.

The folder keeps `.installed.json`: the digest of each file as it was laid. A file that still has that digest follows
new versions; any other is its owner's.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

_RECORD = ".installed.json"
_SHIPPED_SUFFIXES = frozenset({".ipynb", ".md", ".py", ".csv"})


def shipped_tutorials() -> Path:
    """The folder of tutorials that came with this package."""
    return Path(str(files("pachon_lab"))) / "tutorials"


def install(source: Path, target: Path) -> tuple[str, ...]:
    """Lay every tutorial of `source` into `target`.

    Parameters
    ----------
    source
        Folder of the shipped files.
    target
        Folder in the person's home; made if missing.

    Returns
    -------
    tuple of str
        Names of the files written, sorted.

    Raises
    ------
    OSError
        The home cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    laid = _read_record(target)
    written = []
    for path in _shipped(source):
        content = path.read_bytes()
        if _may_write(target / path.name, content, laid.get(path.name)):
            _write(target / path.name, content)
            laid[path.name] = _digest(content)
            written.append(path.name)
    if written:
        _write(target / _RECORD, json.dumps(laid, indent=1, sort_keys=True).encode())
    return tuple(written)


def _may_write(path: Path, content: bytes, laid: str | None) -> bool:
    """Whether `path` is missing, or is an older version as it was laid."""
    if path.is_symlink():
        return False
    if not path.exists():
        return True
    present = _digest(path.read_bytes())
    return present == laid and present != _digest(content)


def _shipped(source: Path) -> Iterator[Path]:
    return (path for path in sorted(source.iterdir()) if path.is_file() and path.suffix in _SHIPPED_SUFFIXES)


def _read_record(target: Path) -> dict[str, str]:
    """Digests by file name; none where the record is missing or spoilt, so that every file counts as changed."""
    try:
        record = json.loads((target / _RECORD).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(path: Path, content: bytes) -> None:
    """Write beside, then rename: a reader sees the old file or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
