"""Saved queries in the state database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, delete, func, insert, select, update

from pachon.core.errors import LimitError, NotFoundError
from pachon.core.ids import new_id
from pachon.identity.models import Principal
from pachon.queries.saved import sql_search
from pachon.queries.saved.models import Audience, QueryRun, SavedQuery, Share, Summary, Version, Wanted
from pachon.queries.saved.sql_listing import listed
from pachon.queries.saved.sql_tables import (
    LABELS,
    QUERIES,
    RUNS,
    SHARES,
    VERSIONS,
    run_from,
    run_row,
    share_from,
    share_row,
    version_from,
    version_row,
)
from pachon.queries.saved.storage import QUERY_CHANGED, group_key, missing, query_key
from pachon.state.database import reading, writing
from pachon.state.outbox import publish

_LISTED_CHARS = 2_000


class SqlSavedQueryStore:
    """Keeps the promise of `storage.SavedQueryStore` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, query: SavedQuery, *, limit: int) -> None:
        """Keep a new query."""
        own = select(func.count()).select_from(QUERIES).where(QUERIES.c.owner == query.owner)
        with writing(self._engine) as connection:
            if (connection.scalar(own) or 0) >= limit:
                raise LimitError(f"You keep {limit} queries, the most allowed; delete some that are not needed.")
            place = next_place(connection)
            connection.execute(insert(QUERIES), {**_head(query), "place": place})
            if query.newest.run is not None:
                connection.execute(insert(RUNS), run_row(query.newest.run))
            self._keep_version(connection, query, place, old_place=None)
            announce(connection, query, "created")

    def get(self, query_id: str) -> SavedQuery:
        """A query."""
        with reading(self._engine) as connection:
            return read_query(connection, query_id)

    def append(self, query_id: str, make: Callable[[SavedQuery], SavedQuery]) -> SavedQuery:
        """Add a version; on PostgreSQL the query's row is locked meanwhile."""
        with writing(self._engine) as connection:
            old_place = lock(connection, query_id)
            new = make(read_query(connection, query_id))
            place = next_place(connection)
            connection.execute(update(QUERIES).where(QUERIES.c.id == query_id).values({**_head(new), "place": place}))
            connection.execute(delete(LABELS).where(LABELS.c.query_id == query_id))
            self._keep_version(connection, new, place, old_place=old_place)
            announce(connection, new, "edited")
            return read_query(connection, query_id)

    def version(self, query_id: str, number: int) -> Version:
        """One version."""
        wanted = select(VERSIONS).where(VERSIONS.c.query_id == query_id, VERSIONS.c.number == number)
        with reading(self._engine) as connection:
            found = _versions(connection, connection.execute(wanted).mappings())
        if not found:
            raise NotFoundError(f"Query '{query_id[:80]}' has no version {number}.")
        return found[0]

    def versions(self, query_id: str, *, limit: int, before: int | None = None) -> tuple[Version, ...]:
        """Versions, newest first."""
        wanted = select(VERSIONS).where(VERSIONS.c.query_id == query_id)
        if before is not None:
            wanted = wanted.where(VERSIONS.c.number < before)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(VERSIONS.c.number.desc()).limit(limit)).mappings()
            return _versions(connection, rows)

    def share(self, query_id: str, share: Share, *, limit: int) -> Share:
        """Share a query."""
        with writing(self._engine) as connection:
            lock(connection, query_id)
            query = read_query(connection, query_id)
            same = [each for each in query.shares if (each.audience, each.who) == (share.audience, share.who)]
            if same:
                share = replace(share, id=same[0].id, created_at=same[0].created_at)
                changed = update(SHARES).where(SHARES.c.id == share.id).values(share_row(query_id, share))
                connection.execute(changed)
            elif len(query.shares) >= limit:
                raise LimitError(f"This query is shared {limit} times, the most allowed; take some shares back first.")
            else:
                connection.execute(insert(SHARES), share_row(query_id, share))
            others = tuple(each for each in query.shares if each not in same)
            announce(connection, replace(query, shares=(*others, share)), "shared")
        return share

    def unshare(self, query_id: str, share_id: str) -> None:
        """Take back a share; who had it learns so."""
        with writing(self._engine) as connection:
            lock(connection, query_id)
            query = read_query(connection, query_id)
            taken = [each for each in query.shares if each.id == share_id]
            if not taken:
                raise NotFoundError(f"This query has no share '{share_id[:80]}'.")
            connection.execute(delete(SHARES).where(SHARES.c.id == share_id))
            left = replace(query, shares=tuple(each for each in query.shares if each.id != share_id))
            announce(connection, left, "shared")
            _tell(connection, query, _keys(taken, query.id) - _audience(left), "gone")

    def delete(self, query_id: str) -> None:
        """Forget a query."""
        with writing(self._engine) as connection:
            place = lock(connection, query_id)
            query = read_query(connection, query_id)
            sql_search.forget_words(connection, query_id, place)
            connection.execute(delete(QUERIES).where(QUERIES.c.id == query_id))
            announce(connection, query, "gone")

    def list(self, reader: Principal, wanted: Wanted, *, limit: int) -> tuple[Summary, ...]:
        """Queries of this person, or shared with them."""
        with reading(self._engine) as connection:
            return listed(connection, reader, wanted, limit=limit)

    @staticmethod
    def _keep_version(connection: Connection, query: SavedQuery, place: int, *, old_place: int | None) -> None:
        connection.execute(insert(VERSIONS), version_row(query.id, query.newest))
        labels = [("tag", tag) for tag in query.newest.content.tags] + [("release", each) for each in query.releases]
        if labels:
            connection.execute(insert(LABELS), [{"query_id": query.id, "kind": k, "label": v} for k, v in labels])
        sql_search.keep_words(connection, query, place, old_place=old_place)


def lock(connection: Connection, query_id: str) -> int:
    """Let nobody else change a query until the transaction ends; returns its place."""
    wanted = select(QUERIES.c.place).where(QUERIES.c.id == query_id).with_for_update()
    place: int | None = connection.scalar(wanted)
    if place is None:
        raise missing(query_id)
    return place


def next_place(connection: Connection) -> int:
    """A number greater than all places before: nanoseconds, so that processes need no counter."""
    newest = connection.scalar(select(func.max(QUERIES.c.place))) or 0
    return max(time.time_ns(), newest + 1)


def read_query(connection: Connection, query_id: str) -> SavedQuery:
    """A query with its newest version and its shares."""
    row = connection.execute(select(QUERIES).where(QUERIES.c.id == query_id)).mappings().one_or_none()
    if row is None:
        raise missing(query_id)
    newest = select(VERSIONS).where(VERSIONS.c.query_id == query_id, VERSIONS.c.number == row["version"])
    shares = select(SHARES).where(SHARES.c.query_id == query_id).order_by(SHARES.c.id)
    (version,) = _versions(connection, connection.execute(newest).mappings())
    return SavedQuery(
        newest=version,
        releases=tuple(row["releases"]),
        shares=tuple(share_from(share) for share in connection.execute(shares).mappings()),
        **{name: row[name] for name in ("id", "owner", "created_at", "changed_at", "parent_id", "parent_version")},
    )


def announce(connection: Connection, query: SavedQuery, what: str) -> None:
    """Tell everybody who may see a query what became of it, as the last act of the transaction."""
    _tell(connection, query, _audience(query), what)


def _tell(connection: Connection, query: SavedQuery, keys: Iterable[str], what: str) -> None:
    news = {
        "id": query.id,
        "version": query.newest.number,
        "state": query.state,
        "what": what,
        "change": new_id(),
    }
    for key in sorted(keys):
        publish(connection, QUERY_CHANGED, key, news)


def _audience(query: SavedQuery) -> set[str]:
    return {query.owner} | _keys(query.shares, query.id)


def _keys(shares: Iterable[Share], query_id: str) -> set[str]:
    return {_key(share, query_id) for share in shares}


def _key(share: Share, query_id: str) -> str:
    match share.audience:
        case Audience.PERSON:
            return share.who
        case Audience.GROUP:
            return group_key(share.who)
        case Audience.LINK | Audience.PUBLIC:
            return query_key(query_id)


def _versions(connection: Connection, rows: Iterable[RowMapping]) -> tuple[Version, ...]:
    found = list(rows)
    runs = _runs(connection, {row["run_id"] for row in found})
    former = _runs(connection, {run.former_id for run in runs.values()})
    of_row = [(row, runs.get(row["run_id"])) for row in found]
    return tuple(version_from(row, run, former.get((run and run.former_id) or "")) for row, run in of_row)


def _runs(connection: Connection, ids: set[str | None]) -> dict[str, QueryRun]:
    wanted = ids - {None}
    rows = connection.execute(select(RUNS).where(RUNS.c.id.in_(wanted))).mappings() if wanted else ()
    return {row["id"]: run_from(row) for row in rows}


def _head(query: SavedQuery) -> dict[str, Any]:
    content, run = query.newest.content, query.newest.run
    return {
        "id": query.id,
        "owner": query.owner,
        "name": content.name,
        "adql": content.adql[:_LISTED_CHARS],
        "tags": list(content.tags),
        "releases": list(query.releases),
        "state": query.state,
        "version": query.newest.number,
        "row_count": run.row_count if run is not None and run.is_over else None,
        "created_at": query.created_at,
        "changed_at": query.changed_at,
        "parent_id": query.parent_id,
        "parent_version": query.parent_version,
    }
