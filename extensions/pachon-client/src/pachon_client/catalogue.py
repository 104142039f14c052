"""What there is to ask: releases with their tables, and functions of the platform."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pachon_client.capabilities import user_functions
from pachon_client.errors import AnswerError, SetupError
from pachon_client.models import Function, Release
from pachon_client.transport import Transport


def session_address() -> str:
    """Address of the Web APIs of the platform that this session belongs to.

    Raises
    ------
    SetupError
        `PACHON_API_URL` is not set.
    """
    address = os.environ.get("PACHON_API_URL")
    if not address:
        raise SetupError("No address is known: give api_url or set PACHON_API_URL.")
    return address


def session_token() -> str | None:
    """Token of this session, if there is one."""
    return os.environ.get("JUPYTERHUB_API_TOKEN")


def list_releases(transport: Transport) -> tuple[Release, ...]:
    """Releases with their tables and columns."""
    entries = list_of(transport, "releases", "releases", params={"detail": "columns"})
    return tuple(Release.from_json(release) for release in entries)


def list_functions(transport: Transport) -> tuple[Function, ...]:
    """Functions beside those of the ADQL standard."""
    response = transport.get("tap/capabilities")
    try:
        return user_functions(response.content)
    except ValueError as error:
        raise AnswerError(f"The answer of {response.url} are no capabilities: {error}.") from error


def list_of(
    transport: Transport, path: str, key: str, *, params: Mapping[str, str | int] | None = None
) -> list[dict[str, Any]]:
    """The list below `key` in the document at `path`.

    Raises
    ------
    AnswerError
        There is none.
    """
    response = transport.get(path, params=params)
    try:
        entries: list[dict[str, Any]] = response.json()[key]
    except (ValueError, KeyError, TypeError) as error:
        raise AnswerError(f"The answer of {response.url} has no list of {key}.") from error
    return entries
