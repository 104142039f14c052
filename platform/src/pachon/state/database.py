"""Engines on the state database: SQLite in one file (embedded, one API process) or PostgreSQL (production).

Readers use `reading`, writers `writing`; both translate the database's own errors at this border.

Migrations are expand/contract: a release N only adds (tables, nullable columns, indexes), so that the code of release
N-1 runs on the schema of release N and a rollback needs no migration down; what release N no longer uses is dropped
by release N+1. `migrate` therefore leaves a schema that is newer than the code alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pachon.core.errors import SetupError, UnavailableError

VERSION_TABLE = "pachon_schema"
_LOG = logging.getLogger(__name__)
_BUSY_TIMEOUT_MS = 5_000
_STATEMENT_TIMEOUT_MS = 30_000
_MIGRATION_LOCK = 0x70616368_6F6E0001
_WRITES = "pachon_writes"


def open_database(url: str) -> Engine:
    """An engine, which connects when first used; safe to use from threads, dispose of it at the end.

    Parameters
    ----------
    url
        `sqlite:////absolute/file` or `postgresql+psycopg://...` (SQLAlchemy form).

    Raises
    ------
    SetupError
        If the URL is neither, or the SQLite file cannot be made. Never tells the password.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    options = f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c timezone=UTC"
    return create_engine(
        parsed,
        pool_pre_ping=True,
        pool_size=10,
        pool_timeout=5,
        connect_args={"connect_timeout": 5, "options": options, "application_name": "pachon"},
    )


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = URL.create("unknown")
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    raise SetupError("The database URL must be 'sqlite:////absolute/file' or 'postgresql+psycopg://user@host/name'.")


def _open_sqlite(url: URL) -> Engine:
    _make_private_file(Path(str(url.database)))
    engine = create_engine(url, pool_size=10, pool_timeout=5)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private_file(path: Path) -> None:
    """Only the owner may read the file; SQLite gives its journal files the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SetupError(f"The database file {path} cannot be opened: {error.strerror}.") from error


def _configure_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401 -- a DBAPI connection has no type
    """Write-ahead log, so that readers and the writer do not wait for each other; we begin transactions ourselves."""
    del record
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its turn at the start: a reader that turns writer can fail at once, without waiting."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database (SQLite) or committed statements (PostgreSQL).

    Raises
    ------
    UnavailableError
        If the database does not answer.
    """
    with _translated(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction: committed at the end of the block, rolled back if the block fails.

    Raises
    ------
    UnavailableError
        If the database does not answer.
    """
    with _translated(), engine.connect() as connection, connection.execution_options(**{_WRITES: True}).begin():
        yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        _LOG.warning("The state database did not answer: %s", reason)
        raise UnavailableError("The state database is not answering; try again in a few seconds.") from error


def migrate(url: str) -> None:
    """Bring the schema up to this code, in one transaction; two processes at once take turns.

    Raises
    ------
    SetupError
        If the URL is wrong.
    UnavailableError
        If the database does not answer.
    """
    engine = open_database(url)
    try:
        with writing(engine) as connection:
            _take_turn(connection)
            _upgrade(connection)
    finally:
        engine.dispose()


def _take_turn(connection: Connection) -> None:
    """SQLite's immediate transaction is the lock; PostgreSQL has one that ends with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "pachon.state:migrations")
    config.attributes["connection"] = connection
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    unknown = set(context.get_current_heads()) - known
    if unknown:
        _LOG.warning("The database schema %s is newer than this code; it is left as it is.", ", ".join(unknown))
        return
    alembic.command.upgrade(config, "head")
