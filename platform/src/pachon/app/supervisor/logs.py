"""Logs of the processes: each appends to one file, which is cut when it grows too large."""

from __future__ import annotations

import shutil
from pathlib import Path

MAX_LOG_BYTES = 10 * 1024**2
SENTENCE = "pachon: "
"""How a process of ours begins the one sentence that says why it cannot go on."""
_TAIL_BYTES = 4096


def bound(path: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Move a large log to `<name>.log.1` and go on from zero; a writer in append mode never notices."""
    if not path.exists() or path.stat().st_size <= max_bytes:
        return
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)


def last_words(path: Path) -> str | None:
    """The sentence with which a process of ours gave up, or None if its log ends with anything else."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    last = lines[-1] if lines else ""
    return last.removeprefix(SENTENCE) if last.startswith(SENTENCE) else None
