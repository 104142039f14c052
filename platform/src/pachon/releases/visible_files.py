"""The files of a release that one person may see, in pages, so that a thread is not held by millions of hidden ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from pachon.releases.models import StoredFile

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class VisibleFiles(Iterable[StoredFile]):
    """Those of the files of a manifest that may be seen; the same whenever they are iterated.

    Parameters
    ----------
    listed
        All files, in order.
    is_visible
        Whether one of them may be seen.
    """

    listed: Iterable[StoredFile]
    is_visible: Callable[[StoredFile], bool]

    def __iter__(self) -> Iterator[StoredFile]:
        """One file at a time."""
        return chain.from_iterable(self.pages())

    def pages(self) -> Iterator[tuple[StoredFile, ...]]:
        """For each 1,000 files of the manifest those of them that may be seen, maybe none."""
        listed = iter(self.listed)
        while page := tuple(islice(listed, _PAGE)):
            yield tuple(file for file in page if self.is_visible(file))
