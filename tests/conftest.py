"""Fixtures that several folders share."""

from support.catalogues import real_platform
from support.databases import database, database_url, empty_database_url, postgres_server

__all__ = ["database", "database_url", "empty_database_url", "postgres_server", "real_platform"]
