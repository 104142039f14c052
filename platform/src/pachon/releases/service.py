"""What a person may see: releases, tables and files, filtered by the rights policy."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pachon.core import clock
from pachon.core.errors import ConflictError, ForbiddenError, NotFoundError
from pachon.releases.models import Lifecycle
from pachon.rights.models import Access, Embargo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from pachon.core.clock import Clock
    from pachon.identity.models import Principal
    from pachon.releases.models import Release, Snapshot, StoredFile, Table
    from pachon.releases.storage import ReleaseStore
    from pachon.rights.models import Decision
    from pachon.rights.policy import RightsPolicy

_rights_log = logging.getLogger("pachon.rights")


class ReleaseService:
    """Answers what exists, for one person at a time. What a person may not see reads like what is not there.

    Uses to which an administrator was let in by override are logged (logger `pachon.rights`); lists are not.

    Parameters
    ----------
    base_url
        The public address, for links in refusals.
    """

    def __init__(
        self, store: ReleaseStore, policy: RightsPolicy, *, base_url: str = "", now: Clock = clock.now
    ) -> None:
        self._store = store
        self._policy = policy
        self._base_url = base_url
        self._now = now
        self._embargoes: dict[str, tuple[Release, datetime | None]] = {}

    def visible(self, principal: Principal, access: Access = Access.METADATA) -> tuple[Release, ...]:
        """The releases to which this person has a kind of access today; archived ones are not queried."""
        return tuple(
            release
            for release in self._store.releases()
            if not _is_closed(release, access) and self._decide(principal, access, release).allowed
        )

    def release(self, principal: Principal, release_id: str, access: Access = Access.METADATA) -> Release:
        """A release by its id.

        Raises
        ------
        NotFoundError
            If there is none to which this person has this access, with those that there are.
        """
        visible = self.visible(principal, access)
        for release in visible:
            if release.id == release_id:
                return release
        names = ", ".join(release.id for release in visible) or "none"
        raise NotFoundError(f"There is no release '{release_id[:80]}'; there are: {names}.")

    def public_from(self, release: Release) -> date | None:
        """The first day on which everybody may read a release; None for one that does not become public by age."""
        day = self._policy.public_from(release)
        return None if day == date.max else day

    def tables(self, principal: Principal, access: Access = Access.METADATA) -> tuple[Table, ...]:
        """All tables of the visible releases, in order."""
        return tuple(table for release in self.visible(principal, access) for table in release.tables)

    def table(self, principal: Principal, name: str, access: Access = Access.QUERY) -> Table:
        """A table by its qualified name, whatever the case of the name.

        Raises
        ------
        NotFoundError
            If there is none that this person may see, with the nearest names among those they may.
        ConflictError
            If it is archived, with the address of its files.
        """
        return self._find(principal, name, access)[1]

    def refusal(self, principal: Principal, name: str) -> str | None:
        """Why a table that this person may know of is not queried: its release is archived. None for any other name."""
        release, table = self._named(name)
        if release is None or table is None or not _is_closed(release, Access.QUERY):
            return None
        if not self._decide(principal, Access.METADATA, release).allowed:
            return None
        files = f"{self._base_url}/api/releases/{release.id}/files"
        return f"Release {release.id} is archived and not queried any more; its files are at {files}"

    def out_of_reach(self, principal: Principal, names: Collection[str], access: Access) -> tuple[str, ...]:
        """Of the tables that something was made from, those to which a person has no access, or that are not there.

        An archived release counts as before: what was made from it stays readable.

        Parameters
        ----------
        names
            Qualified names.
        """
        lost = []
        for name in sorted(names):
            release, table = self._named(name)
            if release is None or table is None or not self._decide(principal, access, release).allowed:
                lost.append(name)
            else:
                self._use(principal, access, release, what=f"what was made from {table.qualified_name}")
        return tuple(lost)

    def _find(self, principal: Principal, name: str, access: Access) -> tuple[Release, Table]:
        release, table = self._named(name)
        is_open = release is not None and not _is_closed(release, access)
        if release and table and is_open and self._decide(principal, access, release).allowed:
            return release, table
        if access is Access.QUERY and (refusal := self.refusal(principal, name)) is not None:
            raise ConflictError(refusal)
        tables = {table.qualified_name.lower(): table for table in self.tables(principal, access)}
        raise NotFoundError(f"There is no table '{name}'{self._suggestion(name, tables)}.")

    def _named(self, name: str) -> tuple[Release | None, Table | None]:
        """The release and the table that a qualified name means, whatever its case and whoever asks."""
        wanted = name.lower()
        release_id = wanted.partition(".")[0]
        release = next((each for each in self._store.releases() if each.id == release_id), None)
        tables = release.tables if release is not None else ()
        return release, next((table for table in tables if table.qualified_name.lower() == wanted), None)

    def snapshot(
        self, principal: Principal, name: str, access: Access = Access.QUERY, *, as_of: datetime | None = None
    ) -> Snapshot:
        """The files of a table that this person may read; of a living one as of a moment (UTC), None for now.

        Raises
        ------
        NotFoundError, ConflictError
            As `table`.
        """
        release, table = self._find(principal, name, access)
        self._use(principal, access, release, what=table.qualified_name)
        return self._store.snapshot(table.qualified_name, as_of=as_of)

    def manifest(self, principal: Principal, release_id: str) -> Iterable[StoredFile]:
        """The files of a release that this person may download now, sorted by path, without images under embargo.

        The same files come whenever it is iterated, whatever is published, or becomes free, meanwhile.

        Raises
        ------
        NotFoundError
            If there is no such release for this person.
        """
        release = self.release(principal, release_id, Access.FILE)
        self._use(principal, Access.FILE, release, what="its list of files")
        at = self._now()
        return _Selected(
            self._store.manifest(release_id), lambda file: self._decide_file(principal, release, file, at=at).allowed
        )

    def file(self, principal: Principal, release_id: str, path: str) -> tuple[StoredFile, Path]:
        """A file of a release by its path in the manifest, and where it lies.

        Raises
        ------
        NotFoundError
            If there is no such release for this person, or no such file.
        ForbiddenError
            If it is an image under embargo.
        """
        release = self.release(principal, release_id, Access.FILE)
        found = self._store.file(release_id, path)
        decision = self._decide_file(principal, release, found[0], at=self._now())
        if not decision.allowed:
            raise ForbiddenError(decision.reason)
        access = Access.IMAGE if found[0].collection[0] == "images" else Access.FILE
        self._log_override(principal, access, release, decision, what=path)
        return found

    def readable_folders(self, principal: Principal) -> tuple[tuple[str, Path], ...]:
        """The releases whose folders a lab of this person may show, by id, and where they lie.

        A folder is shown whole or not at all: a release with images under embargo is not, until the last has ended.
        """
        if not self._policy.decide(principal, Access.SPAWN, at=self._now()).allowed:
            return ()
        folders = []
        for release in self.visible(principal, Access.FILE):
            if self._decide_images(principal, release).allowed:
                self._use(principal, Access.FILE, release, what="its folder, in a lab")
                folders.append((release.id, self._store.folder(release.id)))
        return tuple(folders)

    def _decide(
        self, principal: Principal, access: Access, release: Release, embargo: Embargo | None = None
    ) -> Decision:
        return self._policy.decide(principal, access, at=self._now(), sources=(release,), embargo=embargo)

    def _decide_file(self, principal: Principal, release: Release, file: StoredFile, *, at: datetime) -> Decision:
        """Access to one file: for an image also to images, with the embargo of its collection."""
        kind, name = file.collection
        if kind != "images":
            return self._policy.decide(principal, Access.FILE, at=at, sources=(release,))
        hours = next((each.embargo_hours for each in release.images if each.id == name), 0.0)
        embargo = Embargo(hours, file.taken_at) if hours and file.taken_at is not None else None
        return self._policy.decide(principal, Access.IMAGE, at=at, sources=(release,), embargo=embargo)

    def _decide_images(self, principal: Principal, release: Release) -> Decision:
        """Access to all images of a release at once."""
        ends_at = self._last_embargo_ends_at(release)
        embargo = Embargo(0.0, ends_at) if ends_at is not None else None
        return self._decide(principal, Access.IMAGE, release, embargo)

    def _last_embargo_ends_at(self, release: Release) -> datetime | None:
        """When the last image of a release is free; read once from the manifest of a release."""
        hours = {each.id: each.embargo_hours for each in release.images if each.embargo_hours}
        if not hours:
            return None
        known = self._embargoes.get(release.id)
        if known is None or known[0] is not release:
            ends = (
                file.taken_at + timedelta(hours=hours.get(file.collection[1], 0.0))
                for file in self._store.manifest(release.id)
                if file.taken_at is not None
            )
            known = self._embargoes[release.id] = (release, max(ends, default=None))
        return known[1]

    def _use(self, principal: Principal, access: Access, release: Release, *, what: str) -> None:
        self._log_override(principal, access, release, self._decide(principal, access, release), what=what)

    @staticmethod
    def _log_override(principal: Principal, access: Access, release: Release, decision: Decision, *, what: str) -> None:
        if decision.by_override:
            message = "%s was let in by override: %s access to release %s, %s"
            _rights_log.info(message, principal.name, access.value, release.id, what)

    @staticmethod
    def _suggestion(name: str, tables: dict[str, Table]) -> str:
        bare = {key.rpartition(".")[2]: key for key in tables}
        near = difflib.get_close_matches(name.lower(), [*tables, *bare], n=3, cutoff=0.5)
        names = dict.fromkeys(tables[bare.get(key, key)].qualified_name for key in near)
        return f"; did you mean {' or '.join(names)}?".rstrip("?") if names else ""


@dataclass(frozen=True, slots=True)
class _Selected:
    """Those of some files for which a condition holds, whenever it is iterated."""

    files: Iterable[StoredFile]
    holds: Callable[[StoredFile], bool]

    def __iter__(self) -> Iterator[StoredFile]:
        return filter(self.holds, self.files)


def _is_closed(release: Release, access: Access) -> bool:
    """Whether nobody has this access any more, whatever their rights."""
    return access is Access.QUERY and release.lifecycle is Lifecycle.ARCHIVED
