"""Words of the data that a build brings: catalogues, where each comes from, and the places on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import pyarrow as pa

DESCRIPTIONS = Path(__file__).parent / "catalogues"


class Channel(StrEnum):
    """The ordinary client by which a file is got."""

    DEBIAN_SOURCE = "Debian source package"
    PYTHON_PACKAGE = "Python package"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file from outside, believed only if its digest is right.

    Parameters
    ----------
    package
        As the client wants it: `tycho2`, or `pyongc==1.2.2`.
    filename
        Name of the file that the client brings.
    size_bytes
        Its size, to tell people beforehand.
    sha256
        Its digest, hexadecimal.
    """

    channel: Channel
    package: str
    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A real catalogue that becomes a release of one table.

    Parameters
    ----------
    id
        Of the release.
    row_count
        Rows that a complete build has.
    read
        Makes rows, with the columns of the schema, from the downloaded file.
    descriptions
        Folder with `<id>/release.yaml` and `<id>/schema.yaml`.
    """

    id: str
    row_count: int
    download: Download
    read: Callable[[Path], Iterator[pa.RecordBatch]]
    descriptions: Path = DESCRIPTIONS

    @property
    def folder(self) -> Path:
        """The folder of this catalogue's descriptions."""
        return self.descriptions / self.id


class _DataGroup(Protocol):
    """Settings of the group `data`."""

    @property
    def packages_path(self) -> Path | None:
        """Folder with downloads already made."""
        ...


class PlatformSettings(Protocol):
    """What of the platform's settings matters here."""

    @property
    def home(self) -> Path:
        """Folder of everything this installation keeps."""
        ...

    @property
    def releases_path(self) -> Path:
        """Folder of releases."""
        ...

    @property
    def data(self) -> _DataGroup:
        """The group `data`."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Folders used by a build.

    Parameters
    ----------
    releases
        Where releases are published.
    downloads
        Where files from outside are kept; made when needed.
    packages
        Where such files may lie already; only read.
    """

    releases: Path
    downloads: Path
    packages: Path | None = None

    @classmethod
    def from_settings(cls, settings: PlatformSettings) -> Places:
        """The folders that the settings name."""
        return cls(settings.releases_path, settings.home.resolve() / "downloads", settings.data.packages_path)


class Reporter(Protocol):
    """Where a build tells what it does."""

    def say(self, line: str) -> None:
        """Tell one line."""
        ...

    def rows(self, catalogue: Catalogue, done: int) -> None:
        """Tell how many rows have been read so far."""
        ...


@dataclass(frozen=True, slots=True)
class LineReporter:
    """Tells lines only."""

    write: Callable[[str], None]

    def say(self, line: str) -> None:
        """Pass the line on."""
        self.write(line)

    def rows(self, catalogue: Catalogue, done: int) -> None:
        """Say nothing: lines are enough."""
