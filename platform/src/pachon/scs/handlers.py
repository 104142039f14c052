"""HTTP: Simple Cone Search 1.03."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from pachon.identity.handlers import asking_principal
from pachon.identity.models import Principal
from pachon.queries.handlers import Turns, asking_client
from pachon.scs.models import ConeRequest
from pachon.scs.service import ConeSearchService
from pachon.vo.dali import Parameters
from pachon.vo.http import RowStream, SCSRoute, parameters
from pachon.vo.models import Heading

router = APIRouter(prefix="/scs", tags=["scs"], route_class=SCSRoute)

_PARAMETERS = {
    "RA": "Right ascension of the centre, decimal degrees, ICRS.",
    "DEC": "Declination of the centre, decimal degrees, ICRS.",
    "SR": "Radius, decimal degrees; 0 for the description of the columns alone.",
    "VERB": "1 few columns, 2 the principal ones, 3 all.",
    "MAXREC": "At most this many rows; 0 for the description of the columns alone.",
    "VERSION": "1.03 for UCD1 and a text as identifier, which is the default; 1.1 for UCD1+ and the table's own types.",
    "RESPONSEFORMAT": "votable (TABLEDATA), votable/b2, votable/b, csv, tsv, fits, json, parquet or arrow.",
}
_CONE: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": text}
        for name, text in _PARAMETERS.items()
    ]
}


async def _service(request: Request) -> ConeSearchService:
    service: ConeSearchService = request.app.state.services.scs
    return service


@router.get("/{table}", summary="Rows within a radius of a position", openapi_extra=_CONE, response_class=Response)
async def search(  # noqa: PLR0917 -- the framework passes them by keyword
    table: str,
    given: Annotated[Parameters, Depends(parameters)],
    principal: Annotated[Principal, Depends(asking_principal)],
    scs: Annotated[ConeSearchService, Depends(_service)],
    turns: Turns,
    client: Annotated[str, Depends(asking_client)],
) -> Response:
    request = ConeRequest.from_parameters(given, scs.limits)
    turn = turns(lambda: scs.prepare(principal, table, request, client=client))
    return RowStream(
        lambda: scs.start(principal, table, turn.prepared, has_old_words=request.has_old_words),
        turn=turn,
        form=request.form,
        heading=Heading(),
        file_name="cone",
        services=partial(scs.services, principal),
    )
