"""HTTP: which releases are here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from pachon.core.errors import NotFoundError
from pachon.identity.handlers import current_principal
from pachon.identity.models import Principal, Scope
from pachon.releases.models import Column, Release, Table
from pachon.releases.service import ReleaseService

router = APIRouter(prefix="/releases", tags=["releases"])


def _service(request: Request) -> ReleaseService:
    service: ReleaseService = request.app.state.services.releases
    return service


Anybody = Annotated[Principal, Depends(current_principal)]
Service = Annotated[ReleaseService, Depends(_service)]


@router.get("", summary="The releases you may see")
def releases(principal: Anybody, service: Service) -> dict[str, Any]:
    return {"releases": [release_json(release) for release in service.visible(principal)]}


@router.get("/{release_id}", summary="One release")
def release(release_id: str, principal: Anybody, service: Service) -> dict[str, Any]:
    return release_json(_found(service.visible(principal), release_id))


class LabOwner(BaseModel):
    """Whose lab starts, as the hub knows them."""

    name: str = Field(min_length=1, description="Hub user name.")
    groups: frozenset[str] = Field(frozenset(), description="Hub groups.")


@router.post("/mounts", summary="The release folders that a person's lab may see; asked by the hub alone")
def mounts(owner: LabOwner, principal: Anybody, service: Service) -> dict[str, Any]:
    principal.require(Scope.MOUNTS)
    folders = service.readable_folders(Principal(owner.name, owner.groups))
    return {"folders": [{"release": release_id, "path": str(path)} for release_id, path in folders]}


def _found(visible: tuple[Release, ...], release_id: str) -> Release:
    for known in visible:
        if known.id == release_id:
            return known
    names = ", ".join(known.id for known in visible) or "none"
    raise NotFoundError(f"There is no release '{release_id[:80]}'; there are: {names}.")


def release_json(release: Release) -> dict[str, Any]:
    """A release as JSON."""
    return {
        "id": release.id,
        "title": release.title,
        "description": release.description,
        "kind": release.kind.value,
        "date": release.date.isoformat(),
        "simulated": release.simulated,
        "source": release.source,
        "doi": release.doi,
        "licence": release.licence,
        "credit": release.credit,
        "tables": [_table(table) for table in release.tables],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.qualified_name,
        "description": table.description,
        "row_count": table.row_count,
        "has_position": table.has_position,
        "id_column": table.id_column,
        "ra_column": table.ra_column,
        "dec_column": table.dec_column,
        "columns": [_column(column) for column in table.columns],
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "datatype": column.field.datatype.value,
        "unit": column.field.unit,
        "ucd": column.field.ucd,
        "description": column.field.description,
        "principal": column.principal,
        "indexed": column.indexed,
    }
