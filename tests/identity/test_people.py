"""Whom the hub knows."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse

from pachon.identity.people import HubPeople
from support.hub_double import running_hub


def test_all_pages_of_names_are_read_once_and_again_only_for_a_name_that_is_not_among_them() -> None:
    with running_hub() as hub:
        for number in range(401):
            hub.know(f"token-{number}", f"user{number:03d}")
        now = [0.0]
        people = HubPeople(hub.url, api_token=SecretStr(hub.client_secret), fresh_s=5, monotonic=lambda: now[0])
        assert people.others("user400") is None
        assert len(people.others("rita") or ()) == 401
        hub.know("token-of-rita", "rita")
        assert people.others("rita") is not None
        now[0] = 6
        assert people.others("rita") is None


@pytest.mark.parametrize("secret", ["wrong", None])
def test_a_hub_that_does_not_tell_refuses_nobody(secret: str | None) -> None:
    with running_hub() as hub:
        hub.know("token", "novice")
        people = HubPeople(hub.url, api_token=SecretStr(secret) if secret else None)
        assert people.others("nobody") is None
        hub.broken_with = JSONResponse({"items": "?"}, 500)
        assert people.others("nobody") is None
