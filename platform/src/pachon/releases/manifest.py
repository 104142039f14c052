"""`manifest.jsonl`: every file of a release with size and digest, one JSON object a line, sorted by path.

A release may have millions of files: the list is written and read as a stream, and one path is found by bisection.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from io import BufferedReader
from pathlib import Path

from pachon.core.errors import SetupError, UnavailableError
from pachon.releases.exposure import taken_at
from pachon.releases.hats.workplace import in_threads, replacing
from pachon.releases.models import ImageCollection, StoredFile

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Contents:
    """How much there is of a table or collection; only tables have rows."""

    file_count: int = 0
    size_bytes: int = 0
    row_count: int | None = None

    def plus(self, file: StoredFile) -> Contents:
        """With one more file."""
        return replace(self, file_count=self.file_count + 1, size_bytes=self.size_bytes + file.size_bytes)


def write_manifest(folder: Path, images: tuple[ImageCollection, ...] = ()) -> dict[str, Contents]:
    """List the files of a folder as they are now.

    Parameters
    ----------
    images
        Collections of images; those under embargo need an exposure time in their headers.

    Returns
    -------
    dict
        What there is, by the beginning of the path: `tables/object`, `images/deep`; the release's own files by `""`.

    Raises
    ------
    SetupError
        If something in the folder is neither a file nor a folder, or an image under embargo does not say when it was
        taken.
    """
    embargoed = {f"images/{each.id}" for each in images if each.embargo_hours > 0}
    found: dict[str, Contents] = {}

    def described(path: str) -> StoredFile:
        file = StoredFile(path=path, size_bytes=(folder / path).stat().st_size, sha256=sha256_of(folder / path))
        return replace(file, taken_at=taken_at(folder / path)) if file.part in embargoed else file

    with replacing(folder / MANIFEST) as unfinished, unfinished.open("w", encoding="utf-8") as lines:
        for file in in_threads(described, paths_in(folder)):
            lines.write(_line(file))
            found[file.part] = found.get(file.part, Contents()).plus(file)
    return found


def sha256_of(path: Path) -> str:
    """Digest of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def paths_in(folder: Path, *, under: str = "") -> Iterator[str]:
    """Paths of all files but the manifest, relative to the folder, sorted; one folder is held at a time.

    Raises
    ------
    SetupError
        If there is a link, a device, an unfinished file, or a name that is not UTF-8.
    """
    with os.scandir(folder / under) as entries:
        ordered = sorted((f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name, entry)
                         for entry in entries)  # fmt: skip
    for name, entry in ordered:
        path = f"{under}{name}"
        if not _is_utf8(name):
            raise SetupError(f"{folder / under} holds a name that is not UTF-8: {os.fsencode(entry.name)!r}.")
        if path == f".{MANIFEST}.unfinished":
            continue
        if name.endswith("/"):
            yield from paths_in(folder, under=path)
        elif not entry.is_file(follow_symlinks=False):
            raise SetupError(f"{folder / path} is neither a file nor a folder; a release holds no links.")
        elif name.startswith("."):
            raise SetupError(f"{folder / path} is not complete, since its name begins with a dot: add it again.")
        elif path != MANIFEST:
            yield path


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Manifest(Iterable[StoredFile]):
    """The files that the manifest in a folder lists, in its order; read from disk whenever it is iterated.

    Iteration raises `UnavailableError` if the list is not made yet, or damaged.

    Parameters
    ----------
    under
        Only what is in this folder, or this one file; empty for all. What is before it is not read.
    """

    folder: Path
    under: str = ""

    def __iter__(self) -> Iterator[StoredFile]:
        """One file at a time."""
        folder = self.under.strip("/")
        if folder and (file := find_file(self.folder, folder)) is not None:
            yield file
            return
        begin = f"{folder}/" if folder else ""
        with _opened(self.folder) as lines:
            _seek(lines, begin, self.folder)
            for line in lines:
                file = _parsed(line, self.folder)
                if not file.path.startswith(begin):
                    return
                yield file


def find_file(folder: Path, path: str) -> StoredFile | None:
    """One file by its path; None if the manifest does not have it.

    Raises
    ------
    UnavailableError
        If the list is not made yet, or damaged.
    """
    with _opened(folder) as lines:
        _seek(lines, path, folder)
        line = lines.readline()
        file = _parsed(line, folder) if line else None
    return file if file is not None and file.path == path else None


def _seek(lines: BufferedReader, path: str, folder: Path) -> None:
    """Go to the first line whose path does not come before another."""
    low, high = 0, lines.seek(0, os.SEEK_END) if path else 0
    while low < high:
        start = _line_start(lines, (low + high) // 2, low)
        if _parsed(lines.readline(), folder).path < path:
            low = lines.tell()
        else:
            high = start
    lines.seek(low)


def _line_start(lines: BufferedReader, middle: int, low: int) -> int:
    """Go to the beginning of the line that holds a byte, not before another line's beginning."""
    step = 256
    end = middle
    while end > low:
        begin = max(low, end - step)
        lines.seek(begin)
        before = lines.read(end - begin).rfind(b"\n")
        if before >= 0:
            lines.seek(begin + before + 1)
            return begin + before + 1
        end = begin
    lines.seek(low)
    return low


def _opened(folder: Path) -> BufferedReader:
    try:
        return (folder / MANIFEST).open("rb")
    except FileNotFoundError:
        message = f"The files of '{folder.name}' are not listed yet; 'pachon release verify' lists them."
        raise UnavailableError(message) from None


def _line(file: StoredFile) -> str:
    values: dict[str, object] = {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
    if file.taken_at is not None:
        values["taken_at"] = file.taken_at.isoformat()
    return json.dumps(values, ensure_ascii=False) + "\n"


def _parsed(line: bytes, folder: Path) -> StoredFile:
    try:
        values = json.loads(line)
        return StoredFile(
            path=values["path"],
            size_bytes=int(values["size_bytes"]),
            sha256=values["sha256"],
            taken_at=datetime.fromisoformat(values["taken_at"]) if "taken_at" in values else None,
        )
    except (ValueError, KeyError, TypeError):
        message = f"The list of the files of '{folder.name}' is damaged; 'pachon release verify' says more."
        raise UnavailableError(message) from None
