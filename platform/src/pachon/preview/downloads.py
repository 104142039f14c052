"""Files from outside: found here already, or got by the ordinary client; used only with the right digest."""

from __future__ import annotations

import shutil
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.preview.debian import bring_source
from pachon.preview.models import Channel, Download, Places, Reporter
from pachon.preview.wheels import bring_wheel
from pachon.releases.manifest import sha256_of

_CLIENTS = {Channel.DEBIAN_SOURCE: bring_source, Channel.PYTHON_PACKAGE: bring_wheel}


def obtain(download: Download, places: Places, reporter: Reporter) -> Path:
    """Path of the file, verified.

    An interrupted download stays in a hidden folder, where the client takes it up again if it can.

    Raises
    ------
    SetupError
        If the file cannot be had, or is not the one expected.
    """
    for folder in filter(None, (places.packages, places.downloads)):
        path = folder / download.filename
        if path.is_file() and sha256_of(path) == download.sha256:
            return path
    reporter.say(f"{download.package}: downloading the {download.channel}, {download.size_bytes / 1e6:.0f} MB.")
    partial = places.downloads / f".partial-{download.filename}"
    partial.mkdir(parents=True, exist_ok=True)
    _CLIENTS[download.channel](download, partial)
    brought = partial / download.filename
    if not brought.is_file():
        raise SetupError(f"The {download.channel} {download.package} brought no file {download.filename}.")
    if (found := sha256_of(brought)) != download.sha256:
        shutil.rmtree(partial)
        raise SetupError(
            f"{download.filename} is not the file expected (sha256 {found}, not {download.sha256}); it was removed."
        )
    kept = brought.replace(places.downloads / download.filename)
    shutil.rmtree(partial)
    return kept
