"""What a person may see: releases and tables filtered by the rights policy."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pachon.core import clock
from pachon.core.errors import ForbiddenError, NotFoundError
from pachon.rights.models import Access

if TYPE_CHECKING:
    from pachon.core.clock import Clock
    from pachon.identity.models import Principal
    from pachon.releases.models import Release, Snapshot, Table
    from pachon.releases.storage import ReleaseStore
    from pachon.rights.policy import RightsPolicy


class ReleaseService:
    """Answers what exists, for one person at a time."""

    def __init__(self, store: ReleaseStore, policy: RightsPolicy, *, now: Clock = clock.now) -> None:
        self._store = store
        self._policy = policy
        self._now = now

    def visible(self, principal: Principal, access: Access = Access.METADATA) -> tuple[Release, ...]:
        """The releases to which this person has a kind of access today."""
        now = self._now()
        return tuple(
            release
            for release in self._store.releases()
            if self._policy.decide(principal, access, at=now, sources=(release,)).allowed
        )

    def tables(self, principal: Principal, access: Access = Access.METADATA) -> tuple[Table, ...]:
        """All tables of the visible releases, in order."""
        return tuple(table for release in self.visible(principal, access) for table in release.tables)

    def table(self, principal: Principal, name: str, access: Access = Access.QUERY) -> Table:
        """A table by its qualified name, whatever the case of the name.

        Raises
        ------
        NotFoundError
            If there is none that this person may see, with the nearest names among those they may.
        """
        tables = {table.qualified_name.lower(): table for table in self.tables(principal, access)}
        try:
            return tables[name.lower()]
        except KeyError:
            raise NotFoundError(f"There is no table '{name}'{self._suggestion(name, tables)}.") from None

    def snapshot(self, principal: Principal, name: str, access: Access = Access.QUERY) -> Snapshot:
        """The files of a table that this person may read."""
        return self._store.snapshot(self.table(principal, name, access).qualified_name)

    def require(self, principal: Principal, names: tuple[str, ...], access: Access) -> tuple[str, ...]:
        """Refuse who has lost a kind of access to the tables that something was made from.

        Parameters
        ----------
        names
            Qualified names of tables.

        Returns
        -------
        tuple of str
            The names that belong to no release (any more).

        Raises
        ------
        ForbiddenError
            With the reason of the policy.
        """
        now = self._now()
        releases = {table.qualified_name: release for release in self._store.releases() for table in release.tables}
        for name in names:
            if name in releases:
                decision = self._policy.decide(principal, access, at=now, sources=(releases[name],))
                if not decision.allowed:
                    raise ForbiddenError(decision.reason)
        return tuple(name for name in names if name not in releases)

    @staticmethod
    def _suggestion(name: str, tables: dict[str, Table]) -> str:
        bare = {key.rpartition(".")[2]: key for key in tables}
        near = difflib.get_close_matches(name.lower(), [*tables, *bare], n=3, cutoff=0.5)
        names = dict.fromkeys(tables[bare.get(key, key)].qualified_name for key in near)
        return f"; did you mean {' or '.join(names)}?".rstrip("?") if names else ""
