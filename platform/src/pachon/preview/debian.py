"""Debian source packages, by the machine's own archives: apt run on private folders, no right of root needed."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.preview.clients import run_client
from pachon.preview.models import Download

_TYPES = re.compile(r"^Types:.*\bdeb\b.*$", re.MULTILINE)
_DEB_LINE = re.compile(r"^deb(?=\s)")
_PATIENCE = ("-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30")


def bring_source(download: Download, folder: Path) -> None:
    """Bring the files of a source package into a folder; those partly there are taken up again.

    Raises
    ------
    SetupError
        If this machine has no apt, or its archives do not have the package or cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="pachon-apt-") as scratch:
        options = _private_apt(Path(scratch))
        purpose = f"Getting the Debian source package {download.package}"
        _update(options, folder)
        command = ("apt-get", "-q", *options, "source", "--download-only", "--only-source", download.package)
        run_client(command, folder=folder, purpose=purpose)


def _update(options: tuple[str, ...], folder: Path) -> None:
    """Fetch the lists of source packages. Where one archive of several fails, another may have the package."""
    try:
        run_client(("apt-get", "-q", *options, "update"), folder=folder, purpose="Reading the Debian archive")
    except SetupError:
        if not _has_lists(options):
            raise


def _has_lists(options: tuple[str, ...]) -> bool:
    (lists,) = (Path(option.partition("=")[2]) for option in options if option.startswith("Dir::State::lists="))
    return any(lists.glob("*_Sources*"))


def _private_apt(scratch: Path) -> tuple[str, ...]:
    """Options that make apt read source lists of ours and write nothing outside `scratch`."""
    parts, lists, cache = scratch / "parts", scratch / "lists", scratch / "cache"
    for folder in (parts, lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True)
    if not _write_source_lists(parts):
        raise SetupError("This machine names no Debian archive from which a source package could be got.")
    places = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": parts,
        "Dir::State::lists": lists,
        "Dir::Cache": cache,
    }
    return (*_PATIENCE, *(word for key, value in places.items() for word in ("-o", f"{key}={value}")))


def _write_source_lists(parts: Path) -> int:
    """Write the machine's own lists of archives, asking each for sources; how many there were."""
    written = 0
    for path in _machine_lists():
        text = source_list(path.read_text(encoding="utf-8", errors="replace"), is_stanzas=path.suffix == ".sources")
        if text.strip():
            (parts / path.name).write_text(text, encoding="utf-8")
            written += 1
    return written


def source_list(text: str, *, is_stanzas: bool) -> str:
    """A list of archives (`sources.list(5)`) that asks for source packages where it asked for binary ones.

    Parameters
    ----------
    is_stanzas
        True for the format of `.sources` files, False for one line per archive.
    """
    if is_stanzas:
        return _TYPES.sub("Types: deb-src", text)
    lines = (line.strip() for line in text.splitlines())
    return "".join(_DEB_LINE.sub("deb-src", line) + "\n" for line in lines if _DEB_LINE.match(line))


def _machine_lists() -> list[Path]:
    main, parts = Path(_apt_path("Dir::Etc::sourcelist/f")), Path(_apt_path("Dir::Etc::sourceparts/d"))
    further = sorted(path for path in parts.glob("*") if path.suffix in {".list", ".sources"})
    return [path for path in (main, *further) if path.is_file()]


def _apt_path(key: str) -> str:
    try:
        command = ["apt-config", "shell", "FOUND", key]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- fixed words
    except (OSError, subprocess.CalledProcessError):
        raise SetupError("Getting a Debian source package needs apt, which is not on this machine.") from None
    return answer.stdout.strip().partition("=")[2].strip("'")
