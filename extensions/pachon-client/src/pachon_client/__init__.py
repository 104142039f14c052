"""Ask a Pachon science platform: `query` for the short road, `Client` for all of it."""

from __future__ import annotations

from functools import cache

from pachon_client.client import Client
from pachon_client.errors import (
    AnswerError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    PachonClientError,
    RequestError,
    SetupError,
    UnavailableError,
    UnreachableError,
)
from pachon_client.models import Column, Execution, File, Release, Table
from pachon_client.result import Result

__version__ = "0.1.0"

__all__ = [
    "AnswerError",
    "AuthenticationError",
    "Client",
    "Column",
    "Execution",
    "File",
    "ForbiddenError",
    "NotFoundError",
    "PachonClientError",
    "Release",
    "RequestError",
    "Result",
    "SetupError",
    "Table",
    "UnavailableError",
    "UnreachableError",
    "query",
]


def query(adql: str, max_rows: int | None = None) -> Result:
    """Run an ADQL query on the platform this session belongs to (`PACHON_API_URL`); see `Client.query`."""
    return _session_client().query(adql, max_rows)


@cache
def _session_client() -> Client:
    return Client()
