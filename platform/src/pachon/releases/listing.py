"""Lists of the files of a release: for programs, line by line, and for `sha256sum --check`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pachon.core.errors import UsageError
from pachon.releases.models import Release, StoredFile

_MAX_NAMES = 20


class ListFormat(StrEnum):
    """How a list of files is written."""

    JSON = "json"
    JSONL = "jsonl"
    TEXT = "text"

    @property
    def media_type(self) -> str:
        """Content type."""
        return _LIST_MEDIA_TYPES[self]


_LIST_MEDIA_TYPES = {
    ListFormat.JSON: "application/json",
    ListFormat.JSONL: "application/x-ndjson",
    ListFormat.TEXT: "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """Which files of a release are listed, and how.

    Parameters
    ----------
    collection
        Name of a table or collection; None for all.
    """

    release: Release
    form: ListFormat = ListFormat.JSON
    collection: str | None = None

    def __post_init__(self) -> None:
        known = [each.name for each in self.release.tables]
        known += [each.id for each in self.release.images]
        known += [each.id for each in self.release.files]
        if self.collection is not None and self.collection not in known:
            named = ", ".join(known[:_MAX_NAMES]) + (", ..." if len(known) > _MAX_NAMES else "")
            message = f"Release '{self.release.id}' has no table or collection '{self.collection[:80]}'"
            raise UsageError(f"{message}; it has: {named or 'none'}.", parameter="collection")

    def write(self, pages: Iterable[Sequence[StoredFile]]) -> Iterator[bytes]:
        """The list, a piece for each page of files: an empty one if nothing of it is listed."""
        texts = ([self._line(each) for each in page if self._is_listed(each)] for page in pages)
        if self.form is not ListFormat.JSON:
            yield from ("".join(f"{line}\n" for line in lines).encode() for lines in texts)
            return
        yield (json.dumps(_about(self.release))[:-1] + ', "files": [').encode()
        mark = ""
        for lines in texts:
            yield (mark + ",\n".join(lines) if lines else "").encode()
            mark = ",\n" if lines else mark
        yield b"]}\n"

    def _is_listed(self, file: StoredFile) -> bool:
        return self.collection is None or file.collection[1] == self.collection

    def _line(self, file: StoredFile) -> str:
        """Put together by hand: there may be millions, and a whole dictionary takes `json` three times as long."""
        if self.form is ListFormat.TEXT:
            return _checksum_line(file)
        collection = json.dumps(file.part or None)
        return (
            f'{{"path": {json.dumps(file.path)}, "size_bytes": {file.size_bytes}, "sha256": "{file.sha256}", '
            f'"tier": "{self.release.tier}", "collection": {collection}}}'
        )


def _about(release: Release) -> dict[str, str]:
    return {"release": release.id, "lifecycle": release.lifecycle.value, "tier": release.tier.value}


def _checksum_line(file: StoredFile) -> str:
    """As `sha256sum` writes it, which marks lines with escaped names by a backslash in front."""
    path = file.path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if path == file.path else chr(92)}{file.sha256}  {path}"
