"""Who asks, for every handler; login and logout in the browser.

Handlers declare `Annotated[Principal, Depends(current_principal)]` (anybody) or `Depends(asking_principal)` (anybody
who is anonymous or whose credentials include the scope of queries). `IdentityConfirmation` tells the client who it is.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as ConnectionScope

from pachon.core.errors import AuthenticationError, ForbiddenError
from pachon.identity import cookies, login
from pachon.identity.credentials import token_of
from pachon.identity.login import LoginSettings
from pachon.identity.models import ANONYMOUS, Principal, Principals, Scope

router = APIRouter(tags=["identity"])


# Dependencies that do not wait are coroutines too: FastAPI sends plain functions through a thread, on every request.
async def _principals(request: Request) -> Principals:
    principals: Principals = request.app.state.services.principals
    return principals


async def _settings(request: Request) -> LoginSettings:
    settings: LoginSettings = request.app.state.services.settings
    return settings


async def current_principal(
    request: Request,
    principals: Annotated[Principals, Depends(_principals)],
    settings: Annotated[LoginSettings, Depends(_settings)],
) -> Principal:
    """Who asks: by `Authorization` header if there is one, else by login cookie if it counts, else anonymous.

    A login cookie that is no longer valid makes an anonymous visitor, who can still read what is open to all. A wrong
    header is refused: who sends a token wants to be known.

    Raises
    ------
    AuthenticationError
        If the header is malformed or its token not valid.
    UnavailableError
        If the hub does not answer.
    """
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise AuthenticationError("The request has more than one Authorization header; send one.")
    if given:
        principal = await principals.resolve(token_of(given[0]))
    else:
        principal = await _principal_of_cookie(request, principals, settings)
    request.state.principal = principal = principal.as_far_as_scopes_reach()
    return principal


async def _principal_of_cookie(request: Request, principals: Principals, settings: LoginSettings) -> Principal:
    sealed = request.cookies.get(cookies.LOGIN_COOKIE)
    if not sealed or settings.identity.cookie_secret is None:
        return ANONYMOUS
    if not cookies.cookie_counts(request.method, request.headers, base_url=settings.base_url):
        request.state.why_unknown = cookies.NOT_COUNTED
        return ANONYMOUS
    content = login.login_seal(settings).open(sealed, max_age_s=cookies.LOGIN_MAX_AGE_S)
    if content is None:
        return ANONYMOUS
    try:
        return await principals.resolve(content["token"])
    except AuthenticationError:
        return ANONYMOUS


async def asking_principal(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
    """Who asks, if they may ask catalogues: anonymous visitors, and credentials with `Scope.QUERY`.

    Raises
    ------
    ForbiddenError
        Naming the scope.
    """
    if not principal.is_anonymous:
        principal.require(Scope.QUERY)
    return principal


@router.get("/login", summary="Log in with a browser", response_class=RedirectResponse, status_code=303)
async def log_in(
    settings: Annotated[LoginSettings, Depends(_settings)],
    next_path: Annotated[str, Query(alias="next", description="Local path to go to afterwards.")] = "/",
) -> RedirectResponse:
    departure = login.depart(settings, next_path)
    response = _redirect(departure.address)
    _set_cookie(response, settings, departure.cookie_name, departure.cookie_value, max_age_s=cookies.DANCE_MAX_AGE_S)
    return response


@router.get("/oauth_callback", summary="Where the hub sends the browser back", include_in_schema=False)
async def finish_login(
    request: Request,
    principals: Annotated[Principals, Depends(_principals)],
    settings: Annotated[LoginSettings, Depends(_settings)],
    code: str = "",
    state: str = "",
) -> RedirectResponse:
    if not code:
        raise ForbiddenError(
            "The hub did not agree to this login; ask an administrator whether you may use the Web APIs."
        )
    arrival = await login.arrive(settings, principals, code=code, state=state, request_cookies=request.cookies)
    response = _redirect(arrival.address)
    response.delete_cookie(arrival.waiting_cookie_name, path=cookies.COOKIE_PATH)
    _set_cookie(response, settings, cookies.LOGIN_COOKIE, arrival.cookie_value, max_age_s=cookies.LOGIN_MAX_AGE_S)
    return response


@router.get("/logout", summary="Log out of the whole platform", response_class=RedirectResponse, status_code=303)
async def log_out(settings: Annotated[LoginSettings, Depends(_settings)]) -> RedirectResponse:
    response = _redirect(f"{settings.base_url}/hub/logout")
    response.delete_cookie(cookies.LOGIN_COOKIE, path=cookies.COOKIE_PATH)
    return response


def _redirect(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def _set_cookie(response: RedirectResponse, settings: LoginSettings, name: str, value: str, *, max_age_s: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=cookies.COOKIE_PATH,
        secure=settings.base_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


class IdentityConfirmation:
    """ASGI middleware: every answer to a person who is known carries `X-VO-Authenticated: <name>`.

    Source: IVOA AuthVO working draft (2025-07). Anonymous visitors never get the header. Characters that a header
    cannot hold are percent-encoded (UTF-8).

    An answer that depends on who asks says so (`Vary`), and unless it says otherwise a browser asks again before it
    uses what it kept (RFC 9111, sections 4.1 and 5.2.2.4): the next person at that browser may be another, or may have
    lost a right.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def confirm(message: Message) -> None:
            principal: Principal | None = state.get("principal")
            if message["type"] == "http.response.start" and principal is not None:
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "private, no-cache")
                if "authorization" not in headers.get("Vary", "").lower():
                    headers.add_vary_header("Authorization, Cookie")
                if not principal.is_anonymous:
                    headers["X-VO-Authenticated"] = quote(principal.name, safe=_PLAIN)
            await send(message)

        await self._app(scope, receive, confirm)


_PLAIN = " !#$&'()*+,/:;=?@[]"
