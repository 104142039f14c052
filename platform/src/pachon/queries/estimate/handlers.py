"""HTTP: what a query will do, before it is run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from pachon.core.errors import UsageError
from pachon.identity.handlers import asking_principal
from pachon.identity.models import Principal
from pachon.queries.estimate.models import Estimate, Outlook
from pachon.queries.estimate.service import EstimateService
from pachon.queries.models import QueryLimits
from pachon.vo.dali import Parameters
from pachon.vo.http import parameters

router = APIRouter(prefix="/queries", tags=["queries"])

_PARAMETERS: dict[str, Any] = {
    "parameters": [
        {"name": "QUERY", "in": "query", "schema": {"type": "string"}, "description": "The query, in ADQL."},
        {"name": "MAXREC", "in": "query", "schema": {"type": "string"}, "description": "As in `/api/tap/sync`."},
    ]
}


def _service(request: Request) -> EstimateService:
    service: EstimateService = request.app.state.services.estimates
    return service


@router.get("/estimate", summary="What a query will return, read and take", openapi_extra=_PARAMETERS)
@router.post("/estimate", summary="The same by a form", openapi_extra=_PARAMETERS)
def estimate(
    request: Request,
    given: Annotated[Parameters, Depends(parameters)],
    principal: Annotated[Principal, Depends(asking_principal)],
    estimates: Annotated[EstimateService, Depends(_service)],
) -> dict[str, Any]:
    adql = given.text("QUERY")
    if adql is None:
        raise UsageError("QUERY is missing: the text of the query, in ADQL.", parameter="QUERY")
    max_rows = given.max_rows(limit=estimates.limits.max_rows)
    address = request.client.host if request.client else ""
    found, outlook = estimates.estimate(principal, adql, max_rows=max_rows, address=address)
    return {**_figures(found), "limits": _limits(estimates.limits, outlook)}


def _figures(found: Estimate) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "range": {"rows": [found.rows_low, found.rows_high]},
        "overflow": found.overflow,
        "rows_scanned": found.rows_scanned,
        "bytes_scanned": found.bytes_scanned,
        "seconds": float(f"{found.seconds:.2g}"),
        "time_class": found.time_class.value,
        "confidence": found.confidence.value,
        "tables": list(found.tables),
        "reasons": list(found.reasons),
    }


def _limits(limits: QueryLimits, outlook: Outlook) -> dict[str, Any]:
    return {
        "default_rows": limits.default_rows,
        "max_rows": limits.max_rows,
        "seconds": limits.sync_timeout_s,
        "fate": outlook.fate.value,
        "position": outlook.position,
        "wait_seconds": float(f"{outlook.wait_s:.2g}"),
        "explanation": outlook.explanation,
    }
