"""HTTP: the front page, the page of the Web APIs, and the files that both need. No page asks a foreign host."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

import pachon
from pachon import brand
from pachon.app.pages.handbook import handbook
from pachon.identity.handlers import current_principal
from pachon.identity.models import Principal

router = APIRouter(include_in_schema=False)

_BRAND_MAX_AGE_S = 3600
_HUB_SESSION_COOKIE = "jupyterhub-session-id"
"""The one cookie with path `/`: says that somebody has logged in to the hub here, not who."""
_METHODS = ("get", "post", "put", "patch", "delete")

Anybody = Annotated[Principal, Depends(current_principal)]


@router.get("/")
@router.get("/api/front")
def front(request: Request, principal: Anybody) -> HTMLResponse:
    """The login cookie belongs to `/api/`: below it, the page is that of the person, above, of an anonymous visitor."""
    hub_knows_them = _HUB_SESSION_COOKIE in request.cookies
    return _page(request, "front.html", principal=principal, hub_knows_them=hub_knows_them)


@router.get("/api/tap")
@router.get("/api/scs")
def service_address(request: Request) -> RedirectResponse:
    """A browser that follows an address meant for tools finds what the tools may ask there."""
    return RedirectResponse(f"{request.app.state.services.settings.base_url}/api/docs", status_code=303)


@router.get("/api/docs")
def docs(request: Request, principal: Anybody) -> HTMLResponse:
    operations = tuple(_operations(request.app.openapi()))
    return _page(request, "docs.html", principal=principal, operations=operations)


@router.get("/favicon.ico")
def favicon() -> Response:
    return brand_file("logo.svg")


@router.get("/api/brand/{name}")
def brand_file(name: str) -> Response:
    path = brand.path(name)
    headers = {"Cache-Control": f"public, max-age={_BRAND_MAX_AGE_S}"}
    return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0], headers=headers)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation, for the page of the Web APIs."""

    name: str
    place: str
    description: str
    required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One address and method, for the page of the Web APIs."""

    tag: str
    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...]


def _operations(openapi: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in openapi["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _operation(path, method, methods[method])


def _operation(path: str, method: str, about: Mapping[str, Any]) -> Operation:
    parameters = tuple(
        Parameter(given["name"], given["in"], given.get("description", ""), given.get("required", False))
        for given in about.get("parameters", ())
        if given["in"] in {"path", "query"}
    )
    tag = next(iter(about.get("tags", ())), "other")
    return Operation(tag, method.upper(), path, about.get("summary", ""), parameters)


def _page(request: Request, name: str, **context: Any) -> HTMLResponse:  # noqa: ANN401 -- a template's context is mixed
    services = request.app.state.services
    html = (
        _templates()
        .get_template(name)
        .render(
            settings=services.settings,
            releases=services.releases.visible(context["principal"]),
            version=pachon.__version__,
            base_url=services.settings.base_url,
            has_handbook=handbook(services.settings) is not None,
            **context,
        )
    )
    return HTMLResponse(html, headers={"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"})


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
