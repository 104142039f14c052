"""Images under embargo: they are nobody's, so that neither counts nor lists nor a lab's folder tell of them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pachon.core.errors import UnavailableError
from pachon.identity.models import ANONYMOUS
from pachon.releases.models import ImageCollection, Release, StoredFile
from pachon.releases.storage import ReleaseStore
from pachon.rights.models import Access, Embargo
from pachon.rights.policy import RightsPolicy

_ENDLESS = Embargo(0.0, datetime.max.replace(tzinfo=UTC))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hushed:
    """The images of a collection that were taken at one moment, and are under embargo."""

    collection: str
    embargo: Embargo
    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What of one build was under embargo at a moment; only less of it can be later."""

    release: Release
    at: datetime
    hushed: Sequence[Hushed] = ()


@dataclass(frozen=True, slots=True)
class Embargoes:
    """Knows which images of a release are under embargo; safe to use from several threads."""

    store: ReleaseStore
    policy: RightsPolicy
    _found: dict[str, _Found] = field(default_factory=dict)

    def hushed(self, release: Release, at: datetime) -> tuple[Hushed, ...]:
        """The images of a release that are under embargo at a moment; their manifest is read once for each build.

        As long as the manifest cannot be read, all images of a collection with an embargo are.
        """
        collections = [each for each in release.images if each.embargo_hours]
        known = self._found.get(release.id)
        if known is None or known.release is not release or at < known.at:
            try:
                hushed = [group for each in collections for group in self._read(release, each, at)]
            except UnavailableError as error:
                _log.warning("No image with an embargo of release %s is shown: %s", release.id, error)
                return tuple(Hushed(each.id, _ENDLESS, each.file_count, each.size_bytes) for each in collections)
            known = self._found[release.id] = _Found(release, at, hushed)
        return tuple(group for group in known.hushed if self._is_on(group.embargo, at))

    def _read(self, release: Release, collection: ImageCollection, at: datetime) -> list[Hushed]:
        sizes: Mapping[Embargo, list[int]] = defaultdict(lambda: [0, 0])
        for file in self.store.manifest(release, under=f"images/{collection.id}"):
            embargo = embargo_of(release, file)
            if embargo is not None and self._is_on(embargo, at):
                count = sizes[embargo]
                count[0] += 1
                count[1] += file.size_bytes
        return [Hushed(collection.id, embargo, *count) for embargo, count in sizes.items()]

    def _is_on(self, embargo: Embargo, at: datetime) -> bool:
        """Whoever asks, and whatever of."""
        return not self.policy.decide(ANONYMOUS, Access.IMAGE, at=at, embargo=embargo).allowed


def embargo_of(release: Release, file: StoredFile) -> Embargo | None:
    """The embargo of a file; one of an image whose manifest does not say when it was taken does not end."""
    kind, name = file.collection
    hours = next((each.embargo_hours for each in release.images if each.id == name), 0.0) if kind == "images" else 0.0
    if not hours:
        return None
    return _ENDLESS if file.taken_at is None else Embargo(hours, file.taken_at)


def without(release: Release, hushed: Sequence[Hushed]) -> Release:
    """A release whose counts and sizes do not tell of some images."""

    def told(collection: ImageCollection) -> ImageCollection:
        of_it = [group for group in hushed if group.collection == collection.id]
        return replace(
            collection,
            file_count=collection.file_count - sum(group.file_count for group in of_it),
            size_bytes=collection.size_bytes - sum(group.size_bytes for group in of_it),
        )

    size_bytes = release.size_bytes - sum(group.size_bytes for group in hushed)
    return replace(release, size_bytes=size_bytes, images=tuple(told(each) for each in release.images))
