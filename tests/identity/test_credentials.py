from __future__ import annotations

import base64

import pytest

from pachon.core.errors import AuthenticationError
from pachon.identity.credentials import challenges, token_of


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc",
        "bearer   abc",
        "token abc",
        "TOKEN abc",
        basic("novice:abc"),
        basic(":abc"),
        basic("abc:"),
        basic("abc:x-oauth-basic"),
        basic("x-oauth-basic:abc"),
    ],
)
def test_every_form_of_credentials_gives_the_token(header: str) -> None:
    assert token_of(header) == "abc"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "abc",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer café",
        "Bearer " + 600 * "a",
        "Digest username=novice",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        basic("novice:two words"),
        basic(":"),
    ],
)
def test_malformed_credentials_are_refused_in_one_sentence_that_says_what_to_send(header: str) -> None:
    with pytest.raises(AuthenticationError, match=r"Send 'Authorization: Bearer <token>'"):
        token_of(header)


def test_challenges_offer_basic_and_bearer() -> None:
    assert challenges("https://sky.example") == ['Basic realm="Pachon"', 'Bearer realm="https://sky.example/api"']
