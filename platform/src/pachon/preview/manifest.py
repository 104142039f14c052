"""What a build made: rows of each table and the digest of every file, written beside them and checked by `verify`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.errors import SetupError
from pachon.preview.downloads import sha256_of
from pachon.preview.models import Catalogue
from pachon.releases.hats.layout import DATASET

_NAME = "manifest.json"
_FORMAT = 1  # raised whenever a build writes other bytes from the same input, so that older builds are made anew


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of `manifest.json`.

    Parameters
    ----------
    recipe
        Digest of all that decides what a build writes.
    source
        Name and digest of the file it was made from.
    row_counts
        Rows by table.
    files
        Digest by path, relative to the release's folder.
    """

    recipe: str
    source: dict[str, str]
    row_counts: dict[str, int]
    files: dict[str, str]


def recipe(catalogue: Catalogue) -> str:
    """Digest of all that decides what a build writes: format, descriptions and input."""
    digest = hashlib.sha256(f"{_FORMAT} {catalogue.download.sha256}".encode())
    for name in ("release.yaml", "schema.yaml"):
        digest.update((catalogue.folder / name).read_bytes())
    return digest.hexdigest()


def write_manifest(release: Path, catalogue: Catalogue, row_counts: dict[str, int]) -> None:
    """Describe the files of a release as they are now."""
    source = {catalogue.download.filename: catalogue.download.sha256}
    files = {path.relative_to(release).as_posix(): sha256_of(path) for path in _files(release)}
    text = json.dumps(asdict(Manifest(recipe(catalogue), source, row_counts, files)), indent=1)
    (release / _NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(release: Path) -> Manifest | None:
    """The manifest of a release; None if it has none."""
    try:
        return Manifest(**json.loads((release / _NAME).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise SetupError(f"{release / _NAME} is damaged; build release '{release.name}' again with --force.") from None


def problems(release: Path) -> tuple[str, ...]:
    """In what the files of a release differ from its manifest; nothing if in nothing."""
    manifest = read_manifest(release)
    if manifest is None:
        return ("it has no manifest",)
    present = {path.relative_to(release).as_posix() for path in _files(release)}
    found = [f"{path} is missing" for path in sorted(manifest.files.keys() - present)]
    found += [f"{path} does not belong to it" for path in sorted(present - manifest.files.keys())]
    for path in sorted(present & manifest.files.keys()):
        if sha256_of(release / path) != manifest.files[path]:
            found.append(f"{path} has changed")
    for table, expected in manifest.row_counts.items():
        found += _row_problems(release, table, expected)
    return tuple(found)


def _row_problems(release: Path, table: str, expected: int) -> list[str]:
    dataset = release / "tables" / table / DATASET
    try:
        counted = sum(pq.read_metadata(path).num_rows for path in dataset.rglob("Npix=*.parquet"))
    except (pa.ArrowInvalid, OSError):
        return [f"table {table} cannot be read"]
    return [] if counted == expected else [f"table {table} has {counted:,} rows, not {expected:,}"]


def _files(release: Path) -> list[Path]:
    return sorted(path for path in release.rglob("*") if path.is_file() and path.name != _NAME)
