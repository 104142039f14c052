"""Fixtures: every store's suite runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from pachon.state.database import migrate, open_database
from support import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """PostgreSQL for the whole run; without it the run is incomplete, which CI does not accept."""
    bin_folder = postgres.binaries()
    if bin_folder is None:
        message = f"PostgreSQL is not installed: apt-get install {postgres.PACKAGE}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with postgres.running_postgres(bin_folder) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind, fresh for the module."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('state') / 'state.sqlite'}"
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


@pytest.fixture(scope="module")
def database_url(empty_database_url: str) -> str:
    """A migrated database of each kind, fresh for the module."""
    migrate(empty_database_url)
    return empty_database_url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a migrated database of each kind, fresh for the module."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()
