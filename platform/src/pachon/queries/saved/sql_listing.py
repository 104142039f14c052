"""Lists of saved queries: one page by one index, whoever asks and whatever for."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select, text

from pachon.core import clock
from pachon.identity.models import Principal
from pachon.queries.saved import sql_search
from pachon.queries.saved.models import Audience, Summary, Wanted, Whose
from pachon.queries.saved.sql_tables import LABELS, QUERIES, SHARES, SUMMARY, summary_from


def listed(connection: Connection, reader: Principal, wanted: Wanted, *, limit: int) -> tuple[Summary, ...]:
    """At most `limit` queries of this person, or shared with them, newest change first.

    What is one's own and what is shared are asked apart, each by its index, and merged.
    """
    found: list[Summary] = []
    if wanted.whose is not Whose.SHARED:
        found += _page(connection, QUERIES.c.owner == reader.name, wanted, limit=limit, owner=reader.name)
    shared = _shared_with(reader)
    if wanted.whose is not Whose.MINE and connection.scalar(select(shared.exists())):
        is_theirs = and_(QUERIES.c.id.in_(shared), QUERIES.c.owner != reader.name)
        found += _page(connection, is_theirs, wanted, limit=limit, owner=None)
    return tuple(sorted(found, key=lambda each: each.place, reverse=True)[:limit])


def _page(
    connection: Connection, audience: ColumnElement[bool], wanted: Wanted, *, limit: int, owner: str | None
) -> list[Summary]:
    statement = select(*SUMMARY).where(audience, *_conditions(wanted)).limit(limit)
    tags, releases = ([each] if each is not None else [] for each in (wanted.tag, wanted.release))
    words = sql_search.asked(connection, wanted.text, sql_search.markers(owner, tags, releases))
    if words:
        rows = connection.execute(_searched(connection, statement), {"words": words}).mappings()
    else:
        rows = connection.execute(statement.order_by(QUERIES.c.place.desc())).mappings()
    return [summary_from(row) for row in rows]


def _searched(connection: Connection, statement: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    table, key, is_theirs = sql_search.joined(connection)
    found = statement.join_from(table, QUERIES, is_theirs).where(text(sql_search.condition(connection)))
    return found.order_by(key)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    given = {"tag": wanted.tag, "release": wanted.release}
    conditions: list[ColumnElement[bool]] = [
        exists().where(LABELS.c.query_id == QUERIES.c.id, LABELS.c.kind == kind, LABELS.c.label == label)
        for kind, label in given.items()
        if label is not None
    ]
    if wanted.name is not None:
        conditions.append(QUERIES.c.name == wanted.name)
    if wanted.state is not None:
        conditions.append(QUERIES.c.state == wanted.state)
    if wanted.since is not None:
        conditions.append(QUERIES.c.changed_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(QUERIES.c.changed_at < wanted.until)
    if wanted.before is not None:
        conditions.append(QUERIES.c.place < wanted.before)
    return conditions


def _shared_with(reader: Principal) -> Select[tuple[str]]:
    """Ids of the queries that are shared with this person or a group of theirs."""
    person = and_(SHARES.c.audience == Audience.PERSON.value, SHARES.c.who == reader.name)
    group = and_(SHARES.c.audience == Audience.GROUP.value, SHARES.c.who.in_(sorted(reader.groups)))
    counts = or_(SHARES.c.expires_at.is_(None), SHARES.c.expires_at > clock.now())
    return select(SHARES.c.query_id).where(or_(person, group), counts)
