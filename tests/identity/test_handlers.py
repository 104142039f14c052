from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from pachon.core import errors
from pachon.identity.handlers import IdentityConfirmation, asking_principal, current_principal, router
from pachon.identity.hub import HubPrincipals
from pachon.identity.models import Principal, Scope
from support.hub_double import HubDouble, running_hub, serving

BASE = "https://sky.example"
STATUS = {
    errors.UsageError: 400,
    errors.AuthenticationError: 401,
    errors.ForbiddenError: 403,
    errors.UnavailableError: 503,
}


def application(hub: HubDouble, *, secret: str | None = "s3cret", base_url: str = BASE) -> FastAPI:
    """The identity handlers and two questions: who am I, and may I ask."""
    identity = SimpleNamespace(api_token=SecretStr(hub.client_secret), cookie_secret=secret and SecretStr(secret))
    principals = HubPrincipals(hub.url, api_token=identity.api_token, cache_s=0)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await principals.aclose()

    app = FastAPI(lifespan=lifespan)
    app.state.services = SimpleNamespace(
        settings=SimpleNamespace(base_url=base_url, identity=identity),
        principals=principals,
    )
    app.include_router(router, prefix="/api")
    app.add_middleware(IdentityConfirmation)

    @app.api_route("/api/me", methods=["GET", "POST", "HEAD"])
    async def me(principal: Annotated[Principal, Depends(current_principal)]) -> dict[str, str]:
        return {"name": principal.name}

    @app.get("/api/ask")
    async def ask(principal: Annotated[Principal, Depends(asking_principal)]) -> dict[str, str]:
        return {"name": principal.name}

    @app.exception_handler(errors.PachonError)
    async def refuse(_: Request, error: errors.PachonError) -> JSONResponse:
        return JSONResponse({"message": error.message, "scope": getattr(error, "scope", None)}, STATUS[type(error)])

    return app


@dataclass
class Stage:
    hub: HubDouble
    client: httpx.Client

    def me(self, **headers: str) -> httpx.Response:
        return self.client.get("/api/me", headers=headers)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[HubDouble, str]]:
    with running_hub() as hub, serving(application(hub)) as url:
        yield hub, url


@pytest.fixture
def stage(running: tuple[HubDouble, str]) -> Iterator[Stage]:
    hub, url = running
    hub.users.clear()
    hub.broken_with = None
    hub.know("good", "novice", scopes=(Scope.QUERY,))
    hub.know("narrow", "visitor")
    hub.know("unicode", "zoë\n")
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield Stage(hub, client)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "authorization", ["Bearer good", "token good", basic("novice:good"), basic("good:x-oauth-basic")]
)
def test_bearer_token_and_basic_make_the_same_person_who_is_confirmed(stage: Stage, authorization: str) -> None:
    response = stage.me(Authorization=authorization)
    assert response.json() == {"name": "novice"}
    assert response.headers["X-VO-Authenticated"] == "novice"


def test_nobody_is_anonymous_and_never_confirmed(stage: Stage) -> None:
    response = stage.me()
    assert response.json() == {"name": ""}
    assert "X-VO-Authenticated" not in response.headers


def test_a_name_that_no_header_can_hold_is_percent_encoded(stage: Stage) -> None:
    assert stage.me(Authorization="Bearer unicode").headers["X-VO-Authenticated"] == "zo%C3%AB%0A"


def test_wrong_malformed_or_doubled_credentials_are_refused_without_confirmation(stage: Stage) -> None:
    for headers in (
        [("Authorization", "Bearer wrong")],
        [("Authorization", "Basic ?")],
        [("Authorization", "")],
        [("Authorization", "Bearer good"), ("Authorization", "Bearer narrow")],
    ):
        response = stage.client.get("/api/me", headers=headers)
        assert response.status_code == 401, headers
        assert "X-VO-Authenticated" not in response.headers


def test_a_token_without_the_scope_is_known_but_may_not_ask_and_reads_which_scope(stage: Stage) -> None:
    headers = {"Authorization": "Bearer narrow"}
    assert stage.me(**headers).json() == {"name": "visitor"}
    response = stage.client.get("/api/ask", headers=headers)
    assert (response.status_code, response.json()["scope"]) == (403, "custom:pachon:query")
    assert response.headers["X-VO-Authenticated"] == "visitor"
    assert stage.client.get("/api/ask").json() == {"name": ""}
    assert stage.client.get("/api/ask", headers={"Authorization": "Bearer good"}).json() == {"name": "novice"}


def depart(stage: Stage, next_path: str = "/portal/?q=1") -> dict[str, str]:
    """Begin a login; returns what the browser takes to the hub."""
    response = stage.client.get("/api/login", params={"next": next_path})
    assert response.status_code == 303
    address = urlsplit(response.headers["Location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{BASE}/hub/api/oauth2/authorize"
    return {name: values[0] for name, values in parse_qs(address.query).items()}


def agree(stage: Stage, question: dict[str, str], *, token: str = "good") -> None:
    stage.hub.codes["c0de"] = (token, question["code_challenge"])


def set_cookies(response: httpx.Response) -> dict[str, str]:
    """Cookies the answer sets, by name, with their attributes in lower case; the test speaks http, so no jar."""
    lines = (line.partition("=") for line in response.headers.get_list("set-cookie"))
    return {name: rest for name, _, rest in lines}


def log_in(stage: Stage, token: str = "good") -> str:
    """A whole login; returns the Cookie header of the browser afterwards."""
    begun = stage.client.get("/api/login", params={"next": "/portal/"})
    question = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
    agree(stage, question, token=token)
    ended = callback(stage, begun, state=question["state"])
    assert ended.status_code == 303, ended.text
    return f"pachon-api={set_cookies(ended)['pachon-api'].partition(';')[0]}"


def callback(stage: Stage, begun: httpx.Response | None, *, state: str, code: str = "c0de") -> httpx.Response:
    waiting = [f"{name}={rest.partition(';')[0]}" for name, rest in set_cookies(begun).items()] if begun else []
    headers = {"Cookie": "; ".join(waiting)} if waiting else {}
    return stage.client.get("/api/oauth_callback", params={"code": code, "state": state}, headers=headers)


def test_the_way_to_the_hub_carries_pkce_state_and_our_return_address(stage: Stage) -> None:
    question = depart(stage)
    assert question["client_id"] == "service-api"
    assert question["redirect_uri"] == f"{BASE}/api/oauth_callback"
    assert question["response_type"] == "code"
    assert question["code_challenge_method"] == "S256"
    assert len(question["code_challenge"]) == len(base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"="))
    assert depart(stage)["state"] != question["state"]


def test_a_login_ends_where_it_was_meant_to_with_a_cookie_for_the_web_apis_only(stage: Stage) -> None:
    begun = stage.client.get("/api/login", params={"next": "/portal/?q=1"})
    question = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
    agree(stage, question)
    ended = callback(stage, begun, state=question["state"])
    assert ended.headers["Location"] == f"{BASE}/portal/?q=1"
    for response in (begun, ended):
        for cookie in set_cookies(response).values():
            assert "path=/api/" in cookie.lower()
    attributes = {part.strip().lower() for part in set_cookies(ended)["pachon-api"].split(";")[1:]}
    assert {"path=/api/", "httponly", "samesite=lax", "secure", "max-age=86400"} <= attributes
    assert "good" not in set_cookies(ended)["pachon-api"]


def test_the_cookie_makes_the_person_for_reading_but_not_for_a_post_from_elsewhere(stage: Stage) -> None:
    cookie = log_in(stage)
    assert stage.me(Cookie=cookie).json() == {"name": "novice"}
    assert stage.client.post("/api/me", headers={"Cookie": cookie}).json() == {"name": ""}
    from_lab = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Referer": f"{BASE}/user/eve/lab"}
    assert stage.client.post("/api/me", headers=from_lab).json() == {"name": ""}
    from_portal = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Referer": f"{BASE}/portal/"}
    assert stage.client.post("/api/me", headers=from_portal).json() == {"name": "novice"}


def test_a_token_wins_over_a_cookie(stage: Stage) -> None:
    assert stage.me(Cookie=log_in(stage), Authorization="Bearer narrow").json() == {"name": "visitor"}


def test_a_cookie_that_is_revoked_or_not_ours_makes_an_anonymous_visitor_but_a_hub_that_is_down_fails(
    stage: Stage,
) -> None:
    cookie = log_in(stage)
    assert stage.me(Cookie="pachon-api=forged").json() == {"name": ""}
    stage.hub.broken_with = JSONResponse({}, 500)
    assert stage.me(Cookie=cookie).status_code == 503
    stage.hub.broken_with = None
    stage.hub.users.clear()
    assert stage.me(Cookie=cookie).json() == {"name": ""}


def test_a_callback_without_its_cookie_or_with_another_state_is_refused(stage: Stage) -> None:
    begun = stage.client.get("/api/login")
    question = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
    agree(stage, question)
    assert callback(stage, None, state=question["state"]).status_code == 403
    assert callback(stage, begun, state="other").status_code == 403
    assert callback(stage, begun, state="").status_code == 403
    assert callback(stage, begun, state=question["state"], code="").status_code == 403
    assert callback(stage, begun, state=question["state"]).status_code == 303


def test_a_code_is_good_once_and_only_for_the_browser_that_began(stage: Stage) -> None:
    begun = stage.client.get("/api/login")
    question = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
    stage.hub.codes["c0de"] = ("good", "challenge-of-another-browser")
    assert callback(stage, begun, state=question["state"]).status_code == 401
    agree(stage, question)
    assert callback(stage, begun, state=question["state"]).status_code == 303
    assert callback(stage, begun, state=question["state"]).status_code == 401


@pytest.mark.parametrize(
    "next_path",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "portal",
        "",
        "/a\tb",
        "/a\r\nSet-Cookie: x=y",
        "/é",
    ],
)
def test_a_login_never_leads_to_another_site(stage: Stage, next_path: str) -> None:
    response = stage.client.get("/api/login", params={"next": next_path})
    assert response.status_code == 400
    assert "'next' must be a local path" in response.json()["message"]


def test_logging_out_forgets_the_cookie_and_goes_to_the_hub(stage: Stage) -> None:
    response = stage.client.get("/api/logout")
    assert response.headers["Location"] == f"{BASE}/hub/logout"
    assert "max-age=0" in set_cookies(response)["pachon-api"].lower()
    assert "path=/api/" in set_cookies(response)["pachon-api"].lower()


def test_without_a_cookie_secret_browsers_cannot_log_in_and_tokens_still_work() -> None:
    with running_hub() as hub, serving(application(hub, secret=None, base_url="http://sky.example")) as url:
        hub.know("good", "novice")
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/api/login").status_code == 503
            assert client.get("/api/me", headers={"Authorization": "Bearer good"}).json() == {"name": "novice"}
            assert client.get("/api/me", headers={"Cookie": "pachon-api=stale"}).json() == {"name": ""}
