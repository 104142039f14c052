from __future__ import annotations

import logging
import stat
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select, text

from pachon.allocation.sql_storage import RESERVATIONS
from pachon.core.errors import SetupError, UnavailableError
from pachon.queries.jobs.sql_storage import JOBS
from pachon.queries.saved.sql_tables import QUERIES
from pachon.queries.sql_storage import EXECUTIONS
from pachon.state.database import VERSION_TABLE, migrate, open_database, reading, writing
from pachon.state.metadata import METADATA
from pachon.state.outbox import OUTBOX, publish


def test_two_processes_may_migrate_an_empty_database_at_once(empty_database_url: str) -> None:
    program = f"from pachon.state.database import migrate; migrate({empty_database_url!r})"
    processes = [subprocess.Popen([sys.executable, "-W", "error", "-c", program]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    engine = open_database(empty_database_url)
    assert {"executions", "outbox", VERSION_TABLE} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_that_the_code_declares(database: Engine) -> None:
    assert {EXECUTIONS.name, JOBS.name, OUTBOX.name, QUERIES.name, RESERVATIONS.name} <= set(METADATA.tables)
    options = {"version_table": VERSION_TABLE, "compare_type": True, "include_name": _is_declared}
    with reading(database) as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def _is_declared(name: str | None, kind: str, _parents: object) -> bool:
    """All but the tables of full-text search, which each database makes in its own way."""
    return kind != "table" or not str(name).startswith("query_words")


def test_migrating_again_changes_nothing(database_url: str, database: Engine) -> None:
    with writing(database) as connection:
        publish(connection, "thing.happened", "again", {})
    migrate(database_url)
    with reading(database) as connection:
        assert connection.scalar(select(OUTBOX.c.key).where(OUTBOX.c.key == "again")) == "again"


def test_a_schema_newer_than_the_code_is_left_alone_and_said_so(
    database_url: str, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def versions() -> list[str]:
        with reading(database) as connection:
            return list(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))

    before = versions()
    with writing(database) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with caplog.at_level(logging.WARNING):
        migrate(database_url)
    assert versions() == ["9999"]
    assert "9999 is newer than this code" in caplog.text
    with writing(database) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :version"), {"version": before[0]})


def test_a_writer_waits_for_another_and_a_reader_waits_for_nobody(database: Engine) -> None:
    holds, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with writing(database) as connection:
            publish(connection, "thing.happened", "held", {})
            holds.set()
            may_end.wait(5)

    def write() -> None:
        with writing(database) as connection:
            publish(connection, "thing.happened", "waited", {})

    holder, waiter = threading.Thread(target=hold), threading.Thread(target=write)
    holder.start()
    holds.wait(5)
    waiter.start()
    began_s = time.monotonic()
    with reading(database) as connection:
        assert connection.scalar(select(OUTBOX.c.key).where(OUTBOX.c.key == "held")) is None
    assert time.monotonic() - began_s < 0.5
    may_end.set()
    holder.join()
    waiter.join()
    with reading(database) as connection:
        keys = connection.scalars(
            select(OUTBOX.c.key).where(OUTBOX.c.key.in_(["held", "waited"])).order_by(OUTBOX.c.id)
        )
        assert list(keys) == ["held", "waited"]


def test_a_moment_without_a_time_zone_is_refused(database: Engine) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 -- what is refused
    with reading(database) as connection, pytest.raises(Exception, match="needs a time zone"):
        connection.execute(select(OUTBOX).where(OUTBOX.c.published_at < naive))


def test_only_the_owner_may_read_the_sqlite_files(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.sqlite"
    path.parent.mkdir()
    path.touch(mode=0o644)
    migrate(f"sqlite:///{path}")
    engine = open_database(f"sqlite:///{path}")
    with writing(engine) as connection:
        publish(connection, "thing.happened", "here", {})
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()
    assert modes == {"state.sqlite": 0o600, "state.sqlite-wal": 0o600, "state.sqlite-shm": 0o600}


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://root:hunter2@host/x", "oracle://hunter2"]
)
def test_another_kind_of_database_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(SetupError, match="must be 'sqlite:") as caught:
        open_database(url)
    assert "hunter2" not in str(caught.value)


def test_a_database_file_that_cannot_be_made_says_which_and_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"file/state.sqlite cannot be opened: "):
        open_database(f"sqlite:///{tmp_path}/file/state.sqlite")


def test_a_database_that_is_away_means_try_again_and_never_tells_the_password(tmp_path: Path) -> None:
    engine = open_database(f"postgresql://pachon:hunter2@/state?host={tmp_path}")
    with pytest.raises(UnavailableError, match="not answering") as caught, reading(engine):
        pass
    engine.dispose()
    assert "hunter2" not in str(caught.value)
