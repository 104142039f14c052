"""HTTP: which releases are here, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from pachon.core.errors import UsageError
from pachon.identity.handlers import asking_principal, current_principal
from pachon.identity.models import Principal, Scope
from pachon.releases.documents import Permissions, release_json
from pachon.releases.downloads import Downloads, attachment, represent
from pachon.releases.listing import FileList, ListFormat
from pachon.releases.models import Release, StoredFile
from pachon.releases.service import ReleaseService
from pachon.releases.visible_files import VisibleFiles
from pachon.rights.models import Access
from pachon.vo.byte_stream import ByteStream, Source
from pachon.vo.errors import json_failure
from pachon.vo.http import request_id, to_response
from pachon.vo.ranges import NOT_MODIFIED, OK, Representation, Selection, layout, select

router = APIRouter(prefix="/releases", tags=["releases"])

_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie", "X-Content-Type-Options": "nosniff"}
_JSON = ListFormat.JSON


async def _service(request: Request) -> ReleaseService:
    service: ReleaseService = request.app.state.services.releases
    return service


async def _downloads(request: Request) -> Downloads:
    downloads: Downloads = request.app.state.services.downloads
    return downloads


Anybody = Annotated[Principal, Depends(current_principal)]
Service = Annotated[ReleaseService, Depends(_service)]
Detail = Annotated[Literal["tables", "columns"], Query(description="`columns`: all that `/api/releases/{id}` says.")]


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who downloads; `person` is whose downloads are counted together."""

    request: Request
    principal: Principal
    service: ReleaseService
    downloads: Downloads
    person: str

    async def release(self, release_id: str) -> Release:
        return await self.downloads.call(self.service.release, self.principal, release_id, Access.FILE)

    async def manifest(self, release_id: str, under: str) -> VisibleFiles:
        return await self.downloads.call(self.service.manifest, self.principal, release_id, under)

    async def file(self, release_id: str, path: str) -> tuple[StoredFile, Path]:
        return await self.downloads.call(self.service.file, self.principal, release_id, path)


async def _caller(
    request: Request,
    principal: Annotated[Principal, Depends(asking_principal)],
    service: Service,
    downloads: Annotated[Downloads, Depends(_downloads)],
) -> _Caller:
    """Those who have not logged in are counted by their address."""
    address = request.client.host if request.client else ""
    return _Caller(request, principal, service, downloads, principal.name or f"@{address}")


Caller = Annotated[_Caller, Depends(_caller)]


@router.get("", summary="The releases you may see")
def releases(principal: Anybody, service: Service, detail: Detail = "tables") -> Response:
    visible = service.visible(principal)
    may = Permissions.of(service, principal)
    shown = [service.shown(principal, each) for each in visible]
    entries = [release_json(each, may, service.public_from(each), full=detail == "columns") for each in shown]
    return JSONResponse({"releases": entries})


@router.get("/{release_id}", summary="One release, with its columns, collections and history")
def release(release_id: str, principal: Anybody, service: Service) -> Response:
    found = service.shown(principal, service.release(principal, release_id))
    may = Permissions.of(service, principal)
    return JSONResponse(release_json(found, may, service.public_from(found), full=True))


@router.get("/{release_id}/files", summary="The files of a release, with their digests")
async def files(
    release_id: str,
    caller: Caller,
    *,
    form: Annotated[ListFormat, Query(alias="format", description="`text`: as `sha256sum --check` reads it.")] = _JSON,
    under: Annotated[str, Query(description="Only what is in this folder of the release.")] = "",
    collection: Annotated[str | None, Query(description="Only what is of this table or collection.")] = None,
) -> Response:
    listed = FileList(release=await caller.release(release_id), form=form, collection=collection)
    manifest = await caller.manifest(release_id, under)
    digest, size_bytes = await caller.downloads.measure(caller.person, listed.write(manifest.pages()))
    headers = {**_PRIVATE, "ETag": f'W/"{digest}"', "Content-Type": form.media_type}
    if headers["ETag"] in caller.request.headers.get("if-none-match", ""):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    source = partial(caller.downloads.open_list, caller.person, listed.write(manifest.pages()))
    return _stream(caller, source, OK, headers | {"Content-Length": str(size_bytes)})


@router.get("/{release_id}/files/{path:path}", summary="A file of a release, whole or in ranges")
async def file(release_id: str, path: str, caller: Caller) -> Response:
    stored, place = await caller.file(release_id, path)
    representation = await caller.downloads.call(represent, stored, place)
    selection = select(caller.request.headers, representation)
    if selection.problem:
        return _refusal(caller.request, selection, representation)
    headers = {**_PRIVATE, **_validators(representation), "Content-Disposition": attachment(stored.path)}
    if selection.status == NOT_MODIFIED:
        return Response(status_code=NOT_MODIFIED, headers=headers)
    body = layout(selection, representation)
    source = partial(caller.downloads.open_file, caller.person, place, body)
    return _stream(caller, source, selection.status, headers | body.headers)


def _stream(caller: _Caller, source: Source, status: int, headers: dict[str, str]) -> Response:
    if caller.request.state.is_head:
        return Response(status_code=status, headers=headers)
    return ByteStream(
        source, status_code=status, headers=headers, stall_timeout_s=caller.downloads.limits.stall_timeout_s
    )


class LabOwner(BaseModel):
    """Whose lab starts, as the hub knows them."""

    name: str = Field(min_length=1, description="Hub user name.")
    groups: frozenset[str] = Field(frozenset(), description="Hub groups.")


@router.post("/mounts", summary="The release folders that a person's lab may see; asked by the hub alone")
def mounts(owner: LabOwner, principal: Anybody, service: Service) -> dict[str, Any]:
    principal.require(Scope.MOUNTS)
    folders = service.readable_folders(Principal(owner.name, owner.groups))
    return {"folders": [{"release": release_id, "path": str(path)} for release_id, path in folders]}


def _validators(representation: Representation) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "ETag": representation.etag,
        "Last-Modified": representation.last_modified,
        "Repr-Digest": representation.digest,
    }


def _refusal(request: Request, selection: Selection, representation: Representation) -> Response:
    error = UsageError(selection.problem, parameter="Range")
    failure = json_failure(error, challenges=(), request_id=request_id(request))
    response = to_response(failure)
    response.status_code = selection.status
    response.headers["Content-Range"] = f"bytes */{representation.size_bytes}"
    return response
