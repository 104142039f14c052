"""What tests that drive pyvo share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session that closes what pyvo leaves open: it stops reading a document at its last element."""
    responses: list[requests.Response] = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, *_, **__: responses.append(response))
        yield session
    for response in responses:
        response.close()
