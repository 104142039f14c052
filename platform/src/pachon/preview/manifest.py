"""From what a catalogue was built, written beside it: so that a build by an older recipe is known and made anew."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.preview.models import Catalogue

_NAME = "manifest.json"
_FORMAT = 2  # raised whenever a build writes other bytes from the same input, so that older builds are made anew


@dataclass(frozen=True, slots=True)
class Build:
    """The content of `manifest.json`.

    Parameters
    ----------
    recipe
        Digest of all that decides what a build writes.
    source
        Name and digest of the file it was made from.
    """

    recipe: str
    source: dict[str, str]


def recipe(catalogue: Catalogue) -> str:
    """Digest of all that decides what a build writes: format, descriptions and input."""
    digest = hashlib.sha256(f"{_FORMAT} {catalogue.download.sha256}".encode())
    for name in ("release.yaml", "schema.yaml"):
        digest.update((catalogue.folder / name).read_bytes())
    return digest.hexdigest()


def write_build(release: Path, catalogue: Catalogue) -> None:
    """Say from what a release was built."""
    source = {catalogue.download.filename: catalogue.download.sha256}
    text = json.dumps(asdict(Build(recipe(catalogue), source)), indent=1)
    (release / _NAME).write_text(text + "\n", encoding="utf-8")


def read_build(release: Path | None) -> Build | None:
    """From what a release was built; None if there is none, or it does not say."""
    if release is None:
        return None
    try:
        written = json.loads((release / _NAME).read_text(encoding="utf-8"))
        return Build(written["recipe"], written["source"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise SetupError(f"{release / _NAME} is damaged; build release '{release.name}' again with --force.") from None
