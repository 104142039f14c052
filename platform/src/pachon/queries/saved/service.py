"""What people may do with queries: make, find, change, restore, fork, share and delete them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import ConflictError, ForbiddenError, LimitError, StaleError, UsageError
from pachon.core.ids import new_id
from pachon.identity.models import Principal
from pachon.queries.adql.words import suggestion
from pachon.queries.saved.content import checked_content, checked_note
from pachon.queries.saved.models import (
    Audience,
    Content,
    QueryRun,
    SavedLimits,
    SavedQuery,
    Share,
    Summary,
    Version,
    Wanted,
)
from pachon.queries.saved.naming import releases_named
from pachon.queries.saved.sharing import Role, digest_of, new_token, role_of
from pachon.queries.saved.storage import SavedQueryStore, missing

_MAX_SHARE_NAME_CHARS = 200
_NEEDED = {Role.EDITOR: "change or run it: fork it", Role.OWNER: "share or delete it: only its owner may"}


def _nobody_else(_name: str) -> None:
    """For services that cannot tell who exists."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: a person, or whoever brings the token of a link."""

    principal: Principal
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of the content.

    Parameters
    ----------
    based_on
        Number of the version that the author has before them; None if it does not matter.
    keeps_both
        Whether the change is kept as a version of its own if others were quicker.
    run
        The run of a former version that asked the same, if the change brings one back.
    """

    change: Callable[[Content], Content]
    based_on: int | None = None
    keeps_both: bool = False
    note: str = ""
    run: QueryRun | None = None


class SavedQueryService:
    """Queries of one person at a time. Blocking, and safe to use from many threads.

    A query that somebody may not see reads like one that is not there.

    Parameters
    ----------
    store
        Where queries are kept.
    limits
        Limits of queries.
    others
        For the name of a person who is not known, the names that are; None if they are known, or nobody can tell.
    """

    def __init__(
        self,
        store: SavedQueryStore,
        limits: SavedLimits,
        *,
        others: Callable[[str], Iterable[str] | None] = _nobody_else,
        now: Clock = clock.now,
    ) -> None:
        self._store = store
        self._others = others
        self.limits = limits
        self._now = now

    def create(self, principal: Principal, content: Content, *, run: QueryRun | None = None) -> SavedQuery:
        """A new query of this person.

        Parameters
        ----------
        run
            The run that it is made from; its `query_id` is given then.

        Raises
        ------
        UsageError, LimitError
            If the content may not be kept, or there are too many queries.
        """
        return self._add(principal, checked_content(content, self.limits), run=run)

    def fork(self, reader: Reader, query_id: str, *, number: int | None = None) -> SavedQuery:
        """A copy of a version as a query of one's own; it has no run.

        Raises
        ------
        NotFoundError
            If there is no such query or version for them.
        """
        query = self.get(reader, query_id)
        version = query.newest if number is None else self._store.version(query_id, number)
        return self._add(reader.principal, version.content, parent=(query_id, version.number))

    def get(self, reader: Reader, query_id: str, *, needed: Role = Role.READER) -> SavedQuery:
        """A query, for whom may do what `needed` says.

        Raises
        ------
        NotFoundError
            If there is none that they may see.
        ForbiddenError
            If they may see it, but no more.
        """
        query = self._store.get(query_id)
        role = self.role(reader, query)
        if role is Role.NONE:
            raise missing(query_id)
        if role < needed:
            raise ForbiddenError(f"This query is {query.owner}'s, and you may not {_NEEDED[needed]}.")
        return query

    def role(self, reader: Reader, query: SavedQuery) -> Role:
        """What somebody may do with a query."""
        return role_of(query, reader.principal, token=reader.token, now=self._now())

    def list(self, principal: Principal, wanted: Wanted, *, limit: int) -> tuple[Summary, ...]:
        """Queries of this person and those shared with them."""
        return self._store.list(principal, wanted, limit=limit)

    def versions(self, reader: Reader, query_id: str, *, limit: int, before: int | None = None) -> tuple[Version, ...]:
        """Versions of a query, newest first."""
        self.get(reader, query_id)
        return self._store.versions(query_id, limit=limit, before=before)

    def version(self, reader: Reader, query_id: str, number: int | None) -> tuple[SavedQuery, Version]:
        """A query with one of its versions; None for the newest."""
        query = self.get(reader, query_id)
        return query, query.newest if number is None else self._store.version(query_id, number)

    def edit(self, reader: Reader, query_id: str, edit: Edit) -> SavedQuery:
        """Change a query by adding a version; a change of nothing adds none.

        Raises
        ------
        StaleError
            If others added a version since, and both are not to be kept.
        UsageError, LimitError
            If the content may not be kept, or there are too many versions.
        """
        before = self.get(reader, query_id, needed=Role.EDITOR)
        if edit.based_on is not None and edit.based_on > before.newest.number:
            raise UsageError(f"This query has no version {edit.based_on}.", parameter="If-Match")
        seen = before.newest
        if edit.based_on is not None and edit.based_on != seen.number:
            seen = self._store.version(query_id, edit.based_on)
        content = checked_content(edit.change(seen.content), self.limits)
        note = checked_note(edit.note)
        if content == before.newest.content and not note:
            return before

        def append(present: SavedQuery) -> SavedQuery:
            newest = present.newest
            if edit.based_on not in {None, newest.number} and not edit.keeps_both:
                raise _stale(edit.based_on, newest)
            if newest.number >= self.limits.versions_per_query:
                raise LimitError(f"This query has {newest.number} versions, the most allowed; fork it to go on.")
            kept = edit.change(newest.content) if edit.based_on is None else content
            made = self._with_version(
                present, reader.principal, kept, note=note, based_on=edit.based_on or newest.number
            )
            is_without = made.newest.run is None and edit.run is not None
            return replace(made, newest=replace(made.newest, run=edit.run)) if is_without else made

        return self._store.append(query_id, append)

    def restore(self, reader: Reader, query_id: str, number: int) -> SavedQuery:
        """Make a former version the newest, as a new one; its rows come back with it.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        self.get(reader, query_id, needed=Role.EDITOR)
        old = self._store.version(query_id, number)
        edit = Edit(change=lambda _: old.content, note=f"Restored version {number}", run=old.run)
        return self.edit(reader, query_id, edit)

    def delete(self, reader: Reader, query_id: str) -> None:
        """Forget a query with all its versions."""
        self.get(reader, query_id, needed=Role.OWNER)
        self._store.delete(query_id)

    def share(
        self,
        reader: Reader,
        query_id: str,
        audience: Audience,
        who: str = "",
        *,
        may_edit: bool = False,
        expires_at: datetime | None = None,
    ) -> tuple[Share, str]:
        """Share a query.

        Parameters
        ----------
        who
            Name of a person, or of a group of one's own.

        Returns
        -------
        tuple
            The share, and of a link the token, which nobody can read again.

        Raises
        ------
        UsageError
            If the name is missing or nobody's, the moment is past, or a link or the public is to edit.
        """
        self.get(reader, query_id, needed=Role.OWNER)
        self._check_share(reader.principal, audience, who, may_edit=may_edit, expires_at=expires_at)
        token = new_token() if audience is Audience.LINK else ""
        share = Share(
            id=new_id(),
            audience=audience,
            who=digest_of(token) if token else who,
            may_edit=may_edit,
            expires_at=expires_at,
            created_at=self._now(),
        )
        return self._store.share(query_id, share, limit=self.limits.shares_per_query), token

    def unshare(self, reader: Reader, query_id: str, share_id: str) -> None:
        """Take back a share; whoever had it sees the query no more."""
        self.get(reader, query_id, needed=Role.OWNER)
        self._store.unshare(query_id, share_id)

    def _check_share(
        self, principal: Principal, audience: Audience, who: str, *, may_edit: bool, expires_at: datetime | None
    ) -> None:
        is_named = audience in {Audience.PERSON, Audience.GROUP}
        if is_named != bool(who) or len(who) > _MAX_SHARE_NAME_CHARS:
            raise UsageError("who must be the name of a person or group; left out for a link and the public.")
        if audience is Audience.GROUP and who not in principal.groups:
            groups = ", ".join(sorted(principal.groups)) or "none"
            raise UsageError(f"You may share with groups of your own: {groups}.", parameter="who")
        if audience is Audience.PERSON and (others := self._others(who)) is not None:
            message = (
                f"Nobody called '{who}' has logged in here{suggestion(who, others) or '; a link reaches anybody'}."
            )
            raise UsageError(message, parameter="who")
        if may_edit and not is_named:
            raise UsageError("may_edit is for people and groups; links and the public read.", parameter="may_edit")
        if expires_at is not None and expires_at <= self._now():
            raise UsageError("expires_at must be a moment to come.", parameter="expires_at")

    def _add(
        self,
        principal: Principal,
        content: Content,
        *,
        run: QueryRun | None = None,
        parent: tuple[str, int] | None = None,
    ) -> SavedQuery:
        now, query_id = self._now(), new_id()
        run = None if run is None else replace(run, query_id=query_id, version=1)
        query = SavedQuery(
            id=query_id,
            owner=principal.name,
            created_at=now,
            changed_at=now,
            newest=Version(number=1, content=content, author=principal.name, created_at=now, run=run),
            releases=releases_named(content.adql),
            parent_id=parent[0] if parent else None,
            parent_version=parent[1] if parent else None,
        )
        self._store.add(query, limit=self.limits.kept_per_person)
        return query

    def _with_version(
        self, present: SavedQuery, principal: Principal, content: Content, *, note: str, based_on: int
    ) -> SavedQuery:
        now, newest = self._now(), present.newest
        version = Version(
            number=newest.number + 1,
            content=content,
            author=principal.name,
            created_at=now,
            based_on=based_on,
            note=note,
            run=newest.run if content.asks_like(newest.content) else None,
        )
        return replace(present, newest=version, changed_at=now, releases=releases_named(content.adql))


def _stale(based_on: int | None, newest: Version) -> ConflictError:
    return StaleError(
        f"{newest.author} saved version {newest.number} since your version {based_on}; "
        "load it, or send conflict=keep to keep both as versions."
    )
