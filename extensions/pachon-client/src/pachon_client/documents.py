"""Documents of JSON: sent and received."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pachon_client.errors import AnswerError
from pachon_client.transport import Transport


def exchange(
    transport: Transport,
    method: str,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[Mapping[str, Any], str]:
    """The document that answers a request, and its `ETag`.

    Raises
    ------
    AnswerError
        The answer is no JSON.
    """
    response = transport.request(method, path, params=params, body=body, headers=headers)
    try:
        document: Mapping[str, Any] = json.loads(response.content)
    except ValueError as error:
        raise AnswerError(f"The answer of {response.url} is no JSON.") from error
    return document, response.headers.get("ETag", "")


def ask(
    transport: Transport,
    method: str,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    body: object = None,
) -> Mapping[str, Any]:
    """The document that answers a request."""
    return exchange(transport, method, path, params=params, body=body)[0]
