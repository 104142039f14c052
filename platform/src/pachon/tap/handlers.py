"""HTTP: TAP 1.1, synchronous (`async_handlers` has the jobs), and the documents that describe it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from pachon.core.errors import UsageError
from pachon.identity.handlers import asking_principal, current_principal
from pachon.identity.models import Principal
from pachon.queries.admission import Asker
from pachon.queries.engines.engine import Engine
from pachon.queries.estimate.models import TimeClass
from pachon.queries.handlers import Turns, asking_client
from pachon.tap.examples import page
from pachon.tap.models import LightCurveRequest, TapRequest
from pachon.tap.service import TapService
from pachon.tap.uploads import Received
from pachon.vo import vosi
from pachon.vo.dali import Parameters
from pachon.vo.http import RowStream, VORoute, parameters
from pachon.vo.models import Heading
from pachon.vo.multipart import Patience, may_have_files, parameters_and_files

router = APIRouter(prefix="/tap", tags=["tap"], route_class=VORoute)


async def tap_service(request: Request) -> TapService:
    """The TAP service of the application."""
    service: TapService = request.app.state.services.tap
    return service


Asking = Annotated[Principal, Depends(asking_principal)]
Anybody = Annotated[Principal, Depends(current_principal)]
Given = Annotated[Parameters, Depends(parameters)]
Service = Annotated[TapService, Depends(tap_service)]


async def received(request: Request, principal: Asking, tap: Service) -> AsyncIterator[Received]:
    """A request with its files, which go when it has ended; nobody sends any before their turn."""
    brought, uploads = tap.uploads.new_set(), tap.uploads
    try:
        if may_have_files(request):
            limits = uploads.receiving_limits
            patience = Patience(total_s=limits.timeout_s, stall_s=limits.stall_s)
            async with uploads.receiving(Asker.of(principal, request.client.host if request.client else "")):
                given = await parameters_and_files(request, brought, patience)
        else:
            given = await parameters(request)
        yield Received(given, brought)
    finally:
        await run_sync(brought.remove)


WithFiles = Annotated[Received, Depends(received)]

QUERY_PARAMETERS = {
    "LANG": "Language: ADQL, ADQL-2.1 or ADQL-2.0.",
    "QUERY": "The query.",
    "MAXREC": "At most this many rows; 0 for the description of the columns alone.",
    "RESPONSEFORMAT": "votable (BINARY2), votable/td, votable/b, csv, tsv, fits, json, parquet or arrow.",
    "RUNID": "A word of yours, echoed in the answer.",
    "UPLOAD": "name,URI of a table to be read as TAP_UPLOAD.name; param:x is the file x of the form. May be repeated.",
}


def described(**texts: str) -> dict[str, Any]:
    """OpenAPI's description of parameters that are read by the rules of DALI, by name."""
    return {
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}, "description": text}
            for name, text in texts.items()
        ]
    }


_SYNC = described(**QUERY_PARAMETERS)


@router.get("/sync", summary="Ask in ADQL and wait for the answer", openapi_extra=_SYNC, response_class=Response)
@router.post("/sync", summary="The same by a form", openapi_extra=_SYNC, response_class=Response)
async def answer_at_once(
    received: WithFiles, principal: Asking, tap: Service, turns: Turns, client: Annotated[str, Depends(asking_client)]
) -> Response:
    request = TapRequest.from_parameters(received.parameters, tap.limits, tap.uploads.limits)
    staged = tap.uploads.staged(request.uploads, received.brought)
    turn = staged.turn(turns(lambda: tap.prepare(principal, request, staged.tables, client=client)))
    return RowStream(
        lambda: tap.start(turn.inner.prepared),
        turn=turn,
        form=request.form,
        heading=request.heading(),
        file_name="result",
        services=partial(tap.services, principal),
    )


_CURVE = described(
    TABLE="The table that refers to the object.",
    COLUMN="Its column that holds the identifier.",
    ID="The identifier.",
    MAXREC=QUERY_PARAMETERS["MAXREC"],
    RESPONSEFORMAT=QUERY_PARAMETERS["RESPONSEFORMAT"],
)


@router.get("/light-curve", summary="Rows of one object by time", openapi_extra=_CURVE, response_class=Response)
async def light_curve(given: Given, principal: Asking, tap: Service, turns: Turns) -> Response:
    request = LightCurveRequest.from_parameters(given, tap.limits)
    turn = turns(lambda: tap.prepare_light_curve(principal, request))
    return RowStream(
        lambda: tap.start(turn.prepared),
        turn=turn,
        form=request.form,
        heading=Heading(),
        file_name="light-curve",
        services=partial(tap.services, principal),
    )


@router.get("/capabilities", summary="What this service can do", response_class=Response)
def capabilities(request: Request, principal: Anybody, tap: Service) -> Response:
    response = _xml(vosi.tap_capabilities(tap.abilities()))
    for challenge in request.app.state.challenges if principal.is_anonymous else ():
        response.headers.append("WWW-Authenticate", challenge)
    return response


@router.get("/availability", summary="Whether this service answers", response_class=Response)
def availability(request: Request) -> Response:
    engine: Engine = request.app.state.services.engine
    broken = engine.broken()
    notes = [f"The processes that run {each} queries do not start now; it is tried again and again." for each in broken]
    up_since: datetime = request.app.state.up_since
    return _xml(vosi.availability(available=TimeClass.SHORT not in broken, up_since=up_since, notes=notes))


@router.get("/tables", summary="The tables you may ask", response_class=Response)
def tables(given: Given, principal: Anybody, tap: Service) -> Response:
    detail = (given.text("DETAIL") or "max").lower()
    if detail not in {"min", "max"}:
        raise UsageError(f"detail must be min or max, not '{detail[:80]}'.", parameter="detail")
    return _xml(vosi.tableset(tap.describe(principal), with_columns=detail == "max"))


@router.get("/tables/{name}", summary="One table with its columns", response_class=Response)
def table(name: str, principal: Anybody, tap: Service) -> Response:
    return _xml(vosi.table(tap.describe_table(principal, name)))


@router.get("/examples", summary="Queries that run here", response_class=HTMLResponse)
def examples(request: Request, principal: Anybody, tap: Service) -> HTMLResponse:
    base_url = request.app.state.services.settings.base_url
    document = page(tap.examples(principal), base_url=base_url)
    return HTMLResponse(document, media_type="application/xhtml+xml")


def _xml(document: str) -> Response:
    return Response(document, media_type=vosi.MEDIA_TYPE)
