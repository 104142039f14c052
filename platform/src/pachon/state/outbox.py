"""Events that other processes must see within a second, published in the transaction that causes them.

An event is seen if and only if its transaction commits, and a reader that continues after the last id it has seen
never misses one. For that, ids must appear in the order of commits. SQLite has one writer at a time, so they do.
On PostgreSQL a transaction that publishes first takes an advisory lock, which it holds until it has ended: the next id
is drawn after the last one is visible. The price is that publishing transactions end one after the other (a few
thousand a second), so publish last. (The alternative, to order by transaction snapshots, lets any long transaction in
the database hold back all events.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Identity,
    Index,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    text,
)

from pachon.core import clock
from pachon.state.database import reading, writing
from pachon.state.metadata import METADATA, Moment, Words

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), Identity(always=True), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("key", Words, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("published_at", Moment, nullable=False),
    Index(None, "published_at"),
    sqlite_autoincrement=True,
)
_PUBLISH_LOCK = 0x70616368_6F6E0002
_DEFAULT_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    id
        Grows in the order of commits; has gaps.
    kind
        What happened, as `<thing>.<past participle>`.
    key
        Whom or what it concerns; followers may pick by it.
    payload
        What else to know; JSON.
    """

    id: int
    kind: str
    key: str
    payload: Mapping[str, Any]
    published_at: datetime


def publish(connection: Connection, kind: str, key: str, payload: Mapping[str, Any]) -> None:
    """Publish an event in the caller's transaction (`state.database.writing`), as its last act."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_TURN)
    event = {"kind": kind, "key": key, "payload": dict(payload), "published_at": clock.now()}
    connection.execute(_INSERT, event)


_TAKE_TURN = text(f"SELECT pg_advisory_xact_lock({_PUBLISH_LOCK})")
_INSERT = insert(OUTBOX).inline()


class Outbox:
    """Reads events. All methods block and are safe to call from threads; all may raise `UnavailableError`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def latest_id(self) -> int:
        """Id of the newest event kept; 0 if there is none."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(OUTBOX.c.id))) or 0

    def read(
        self,
        after: int,
        limit: int = _DEFAULT_LIMIT,
        *,
        key: str | Collection[str] | None = None,
    ) -> tuple[Event, ...]:
        """At most `limit` events with ids greater than `after`, in order; if given, only those of a key or of some."""
        events = select(OUTBOX).where(OUTBOX.c.id > after).order_by(OUTBOX.c.id).limit(limit)
        if key is not None:
            events = events.where(OUTBOX.c.key.in_([key] if isinstance(key, str) else sorted(key)))
        with reading(self._engine) as connection:
            return tuple(Event(**row) for row in connection.execute(events).mappings())

    def forget(self, before: datetime) -> int:
        """Delete the events published before a moment; returns how many. Ids are never given again."""
        with writing(self._engine) as connection:
            return connection.execute(delete(OUTBOX).where(OUTBOX.c.published_at < before)).rowcount
