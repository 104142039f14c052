"""What a person may see: releases, tables and files, filtered by the rights policy."""

from __future__ import annotations

import difflib
import logging
from datetime import date
from typing import TYPE_CHECKING

from pachon.core import clock
from pachon.core.errors import ConflictError, NotFoundError
from pachon.releases.embargoes import Embargoes, embargo_of, without
from pachon.releases.models import Lifecycle
from pachon.releases.storage import no_file
from pachon.releases.visible_files import VisibleFiles
from pachon.rights.models import Access

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from pachon.core.clock import Clock
    from pachon.identity.models import Principal
    from pachon.releases.models import Release, Snapshot, StoredFile, Table
    from pachon.releases.storage import ReleaseStore
    from pachon.rights.models import Decision, Embargo
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
        self._embargoes = Embargoes(store, policy)

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

    def shown(self, principal: Principal, release: Release) -> Release:
        """A release as this person may know it: its counts and sizes leave out what is under embargo."""
        at = self._now()
        hushed = [
            group
            for group in self._embargoes.hushed(release, at)
            if not self._decide(principal, Access.IMAGE, release, at=at, embargo=group.embargo).allowed
        ]
        return without(release, hushed) if hushed else release

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
        """Why a table that this person may know of is not queried, since when, and what can be done.

        Its release is archived; None for any other name.
        """
        release, table = self._named(name)
        if release is None or table is None or not _is_closed(release, Access.QUERY):
            return None
        if not self._decide(principal, Access.METADATA, release).allowed:
            return None
        files = f"{self._base_url}/api/releases/{release.id}/files"
        since = next(
            (f" since {each.at:%Y-%m-%d}" for each in reversed(release.history) if each.event == "archived"), ""
        )
        newer = self._with_table(principal, release, table.name)
        instead = "" if newer is None else f"ask {newer} instead; "
        return f"Release {release.id} is archived{since} and not queried any more; {instead}its files are at {files}"

    def _with_table(self, principal: Principal, archived: Release, table_name: str) -> str | None:
        """Id of the newest release of the same kind that this person may query and that has such a table."""
        others = (each for each in self.visible(principal, Access.QUERY) if each.kind is archived.kind)
        with_it = [each for each in others if any(table.name == table_name for table in each.tables)]
        return max(with_it, key=lambda each: each.date).id if with_it else None

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
        return self._store.snapshot(release, table, as_of=as_of)

    def manifest(self, principal: Principal, release_id: str, under: str = "") -> VisibleFiles:
        """The files of a release that this person may download now, sorted by path, without images under embargo.

        The same files come whenever it is iterated, whatever is published, or becomes free, meanwhile.

        Parameters
        ----------
        under
            Only what is in this folder, or this one file; empty for all.

        Raises
        ------
        NotFoundError
            If there is no such release for this person.
        """
        release = self.release(principal, release_id, Access.FILE)
        at = self._now()
        is_logged = self._use(principal, Access.FILE, release, what="its list of files").by_override

        def is_visible(file: StoredFile) -> bool:
            nonlocal is_logged
            decision = self._decide_file(principal, release, file, at=at)
            if decision.by_override and not is_logged:
                self._log_override(principal, _access_to(file), release, decision, what="its list of files")
                is_logged = True
            return decision.allowed

        return VisibleFiles(self._store.manifest(release, under=under), is_visible)

    def file(self, principal: Principal, release_id: str, path: str) -> tuple[StoredFile, Path]:
        """A file of a release by its path in the manifest, and where it lies.

        Raises
        ------
        NotFoundError
            If there is no such release for this person, or no such file; an image under embargo reads like none.
        """
        release = self.release(principal, release_id, Access.FILE)
        found = self._store.file(release, path)
        decision = self._decide_file(principal, release, found[0], at=self._now())
        if not decision.allowed:
            raise no_file(release_id, path)
        self._log_override(principal, _access_to(found[0]), release, decision, what=path)
        return found

    def readable_folders(self, principal: Principal) -> tuple[tuple[str, Path], ...]:
        """The releases whose folders a lab of this person may show, by id, and where they lie.

        A folder is shown whole or not at all: a release with images under embargo is not, until the last has ended.
        """
        at = self._now()
        if not self._policy.decide(principal, Access.SPAWN, at=at).allowed:
            return ()
        folders = []
        for release in self.visible(principal, Access.FILE):
            hushed = self._embargoes.hushed(release, at)
            embargoes: list[Embargo | None] = [None, *(group.embargo for group in hushed)]
            if all(self._decide(principal, Access.IMAGE, release, at=at, embargo=each).allowed for each in embargoes):
                self._use(principal, Access.FILE, release, what="its folder, in a lab")
                folders.append((release.id, self._store.folder(release)))
        return tuple(folders)

    def _decide(
        self,
        principal: Principal,
        access: Access,
        release: Release,
        *,
        at: datetime | None = None,
        embargo: Embargo | None = None,
    ) -> Decision:
        return self._policy.decide(principal, access, at=at or self._now(), sources=(release,), embargo=embargo)

    def _decide_file(self, principal: Principal, release: Release, file: StoredFile, *, at: datetime) -> Decision:
        """Access to one file: for an image also to images, with the embargo of its collection."""
        embargo = embargo_of(release, file)
        return self._decide(principal, _access_to(file), release, at=at, embargo=embargo)

    def _use(self, principal: Principal, access: Access, release: Release, *, what: str) -> Decision:
        decision = self._decide(principal, access, release)
        self._log_override(principal, access, release, decision, what=what)
        return decision

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


def _access_to(file: StoredFile) -> Access:
    """Which kind of access a file needs."""
    return Access.IMAGE if file.collection[0] == "images" else Access.FILE


def _is_closed(release: Release, access: Access) -> bool:
    """Whether nobody has this access any more, whatever their rights."""
    return access is Access.QUERY and release.lifecycle is Lifecycle.ARCHIVED
