"""The Web APIs as one application, and how they are served."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from math import ceil
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

import pachon
import pachon.allocation.handlers
import pachon.app.pages.handlers
import pachon.identity.handlers
import pachon.queries.estimate.handlers
import pachon.queries.handlers
import pachon.queries.saved.handlers
import pachon.queries.saved.result_handlers
import pachon.queries.saved.share_handlers
import pachon.releases.handlers
import pachon.scs.handlers
import pachon.tap.async_handlers
import pachon.tap.handlers
from pachon.allocation.watching import keep_true
from pachon.app import middleware, wiring
from pachon.app.housekeeping import keep_tidy
from pachon.app.pages.handbook import Handbook
from pachon.app.settings import Settings
from pachon.app.status import status
from pachon.app.wiring import Services
from pachon.core import clock, healpix
from pachon.core.errors import PachonError
from pachon.identity.credentials import challenges
from pachon.queries.saved.settling import settle_runs

_WARM_UP_AFTER_S = 8
_FORM_OVERHEAD_BYTES = 64 * 1024
_BYTES_PER_CHAR = 4
_EXPOSED_HEADERS = [
    "Location", "WWW-Authenticate", "Retry-After", "X-Pachon-Execution", "X-VO-Authenticated", middleware.REQUEST_ID,
    "Accept-Ranges", "Content-Range", "Content-Disposition", "ETag", "Repr-Digest",
]  # fmt: skip

_status_router = APIRouter(tags=["status"])


@_status_router.get("/status", summary="How the platform is")
async def _status(request: Request) -> dict[str, Any]:
    return await status(request.app.state.services)


def create_app(services: Services) -> FastAPI:
    """The application over these services, which it closes when it shuts down."""
    app = FastAPI(
        title="Pachon Web APIs",
        version=pachon.__version__,
        description="Catalogues of a sky survey by position and in ADQL, density tiles, and what you ran.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.services = services
    app.state.challenges = challenges(services.settings.base_url)
    app.state.up_since = clock.now()
    for capability in (
        pachon.identity.handlers.router,
        pachon.releases.handlers.router,
        pachon.tap.handlers.router,
        pachon.tap.async_handlers.router,
        pachon.scs.handlers.router,
        pachon.queries.handlers.router,
        pachon.queries.estimate.handlers.router,
        pachon.queries.saved.handlers.router,
        pachon.queries.saved.result_handlers.router,
        pachon.queries.saved.share_handlers.router,
        pachon.allocation.handlers.router,
        _status_router,
    ):
        app.include_router(capability, prefix="/api")
    app.include_router(pachon.app.pages.handlers.router)
    app.mount("/docs", Handbook(services.settings))
    _explain_errors(app)
    _add_middleware(app)
    return app


def serve(settings: Settings) -> None:
    """Serve the Web APIs until a signal ends the process; answers under way get `listen.finish_s` to finish."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = server_config(create_app(wiring.build(settings)), settings)
    listener = config.bind_socket()
    abandon_stalled(listener, timeout_s=settings.downloads.stall_timeout_s)
    uvicorn.Server(config).run(sockets=[listener])


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the Web APIs are served: where, whose word on a visitor's address is believed, how they end."""
    return uvicorn.Config(
        app,
        host=settings.listen.inner_host,
        port=settings.listen.api_port,
        access_log=False,
        log_level="warning",
        proxy_headers=True,
        forwarded_allow_ips=sorted(settings.listen.trusted_proxies),
        server_header=False,
        headers=[("Server", f"Pachon/{pachon.__version__}")],
        timeout_graceful_shutdown=ceil(settings.listen.finish_s),
    )


def abandon_stalled(listener: socket.socket, *, timeout_s: float) -> None:
    """Have the system end connections whose client takes nothing: closing one waits until all that was sent is taken.

    The option counts closed windows too, and passes on to the connections that are accepted (tcp(7)).
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout_s * 1000))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services = app.state.services
    background = (
        asyncio.create_task(keep_tidy(services)),
        asyncio.create_task(settle_runs(services.events, services.saved.runs)),
        asyncio.create_task(_warm_up(services)),
        asyncio.create_task(keep_true(services.allocation, every_s=services.settings.allocation.look_every_s)),
    )
    try:
        yield
    finally:
        for task in background:
            task.cancel()
        await app.state.services.aclose()


async def _warm_up(services: Services) -> None:
    """Load what the first cone and the first map need, once the other processes have had the machine to start."""
    await asyncio.sleep(_WARM_UP_AFTER_S)
    await asyncio.to_thread(services.tap.uploads.warm_up)
    await asyncio.to_thread(healpix.warm_up)
    await asyncio.to_thread(import_module, "astropy.io.fits")


def _explain_errors(app: FastAPI) -> None:
    app.add_exception_handler(PachonError, middleware.explain_expected)
    app.add_exception_handler(RequestValidationError, middleware.explain_validation)
    app.add_exception_handler(HTTPException, middleware.explain_http)


def _add_middleware(app: FastAPI) -> None:
    """The last one added meets a request first."""
    limits = app.state.services.settings.queries
    app.add_middleware(middleware.CompressDocuments)
    app.add_middleware(pachon.identity.handlers.IdentityConfirmation)
    form_bytes = _FORM_OVERHEAD_BYTES + _BYTES_PER_CHAR * limits.max_query_chars
    uploads = app.state.services.settings.uploads
    upload_bytes = form_bytes + uploads.max_tables * uploads.max_bytes
    app.add_middleware(middleware.BodyLimit, max_bytes=form_bytes, max_upload_bytes=upload_bytes)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
        expose_headers=_EXPOSED_HEADERS,
    )
    app.add_middleware(middleware.HeadAsGet)
    app.add_middleware(middleware.RequestIds)
