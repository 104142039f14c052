"""Full-text search: FTS5 on SQLite, tsvector with a GIN index on PostgreSQL, in a table `query_words` of their own.

Both hold the same words (`words.words_of`) and find the same queries. On SQLite a row's number is the `place` of its
query, so that the newest of many hits come first without sorting.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, FromClause, column, table, text

from pachon.queries.saved.models import SavedQuery
from pachon.queries.saved.sql_tables import QUERIES
from pachon.queries.saved.words import asked_words, marker, words_of

TABLE = "query_words"


def is_postgresql(connection: Connection) -> bool:
    """Whether the other of the two ways is taken."""
    return connection.dialect.name == "postgresql"


def keep_words(connection: Connection, query: SavedQuery, place: int, *, old_place: int | None) -> None:
    """Let a query be found by what it holds now, instead of what it held at `old_place`."""
    forget_words(connection, query.id, old_place)
    content = query.newest.content
    words = words_of(content.name, " ".join(content.tags), content.notes, content.adql)
    words = (*words, *markers(query.owner, content.tags, query.releases))
    if is_postgresql(connection):
        statement = f"INSERT INTO {TABLE} (query_id, words) VALUES (:id, array_to_tsvector(:words))"  # noqa: S608 -- a constant
        connection.execute(text(statement), {"id": query.id, "words": list(words)})
    else:
        statement = f"INSERT INTO {TABLE} (rowid, words) VALUES (:place, :words)"  # noqa: S608 -- a constant
        connection.execute(text(statement), {"place": place, "words": " ".join(words)})


def markers(owner: str | None, tags: Iterable[str], releases: Iterable[str]) -> tuple[str, ...]:
    """Words by which a search is narrowed before any row is read."""
    owners = [marker("owner", owner)] if owner is not None else []
    return (*owners, *(marker("tag", tag) for tag in tags), *(marker("release", each) for each in releases))


def move_words(connection: Connection, place: int, *, old_place: int) -> None:
    """Take note that a query whose words stay the same has another place."""
    if not is_postgresql(connection):
        statement = f"UPDATE {TABLE} SET rowid = :place WHERE rowid = :old"  # noqa: S608 -- a constant
        connection.execute(text(statement), {"place": place, "old": old_place})


def forget_words(connection: Connection, query_id: str, place: int | None) -> None:
    """Let a query be found no more."""
    if is_postgresql(connection):
        connection.execute(text(f"DELETE FROM {TABLE} WHERE query_id = :id"), {"id": query_id})  # noqa: S608 -- a constant
    elif place is not None:
        connection.execute(text(f"DELETE FROM {TABLE} WHERE rowid = :place"), {"place": place})  # noqa: S608 -- a constant


def joined(connection: Connection) -> tuple[FromClause, ColumnElement[int], ColumnElement[bool]]:
    """The table of words, by what to sort its hits (newest first), and which query a row of it is about.

    On SQLite the sorting costs nothing: hits come by row number.
    """
    if is_postgresql(connection):
        words = table(TABLE, column("query_id"))
        return words, QUERIES.c.place.desc(), words.c.query_id == QUERIES.c.id
    words = table(TABLE, column("rowid"))
    return words, words.c.rowid.desc(), words.c.rowid == QUERIES.c.place


def condition(connection: Connection) -> str:
    """What must hold, as SQL with the parameter `:words`."""
    if is_postgresql(connection):
        return f"{TABLE}.words @@ CAST(:words AS tsquery)"
    return f"{TABLE} MATCH :words"


def asked(connection: Connection, given: str, narrowed: tuple[str, ...]) -> str:
    """The value of `:words`; empty if no word is asked for. The last word may be the start of one.

    Parameters
    ----------
    narrowed
        Markers that must be there as well.
    """
    words = asked_words(given)
    if not words:
        return ""
    if is_postgresql(connection):
        return " & ".join(f"'{word}'" for word in (*narrowed, *words)) + ":*"
    return " ".join(f'"{word}"' for word in (*narrowed, *words)) + "*"
