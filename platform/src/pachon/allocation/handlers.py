"""HTTP: what somebody's labs have and may have; for the hub, reservations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from pachon.allocation.documents import usage_json
from pachon.allocation.models import Claim, PodName
from pachon.allocation.service import AllocationService
from pachon.core.errors import AuthenticationError, ForbiddenError
from pachon.core.resources import Resources
from pachon.identity.handlers import current_principal
from pachon.identity.models import Principal, Scope

router = APIRouter(prefix="/allocation", tags=["allocation"])

_MOST = 2**53
_NO_CONTENT = 204


async def _service(request: Request) -> AllocationService:
    service: AllocationService = request.app.state.services.allocation
    return service


async def known_principal(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
    """Who asks, if they are known.

    Raises
    ------
    AuthenticationError
        For anonymous visitors, who have no labs.
    """
    if principal.is_anonymous:
        raise AuthenticationError("What labs use is listed under your name: log in, or send a token.")
    return principal


async def the_hub(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
    """The hub's service, by its scope.

    Raises
    ------
    ForbiddenError
        For everybody else.
    """
    principal.require(Scope.ALLOCATION)
    return principal


Known = Annotated[Principal, Depends(known_principal)]
Hub = Annotated[Principal, Depends(the_hub)]
Service = Annotated[AllocationService, Depends(_service)]
Id = Annotated[str, Path(description="Of the reservation.", max_length=64)]


class WantedPod(BaseModel):
    """A pod that is to be created, or was."""

    namespace: str = Field(min_length=1, max_length=253, description="Where.")
    pod: str = Field(min_length=1, max_length=253, description="Its name.")
    owner: str = Field(min_length=1, max_length=255, description="Hub user name.")
    groups: frozenset[str] = Field(frozenset(), description="The owner's hub groups.")
    server: str = Field("", max_length=255, description="Name of the hub's server; empty for the default one.")
    pool: str = Field("", max_length=255, description="Group whose pool is charged too; empty for none.")
    cpu_millicores: int = Field(ge=0, le=_MOST, description="Limit of processors, in thousandths of one.")
    memory_bytes: int = Field(ge=0, le=_MOST, description="Limit of memory.")

    def to_claim(self) -> Claim:
        """As the ledger knows it.

        Raises
        ------
        ForbiddenError
            If the pool is of a group that the owner is not in.
        """
        if self.pool and self.pool not in self.groups:
            raise ForbiddenError(
                f"{self.owner} is not a member of '{self.pool}', so no lab of theirs is charged to it."
            )
        return Claim(
            pod=PodName(self.namespace, self.pod),
            owner=self.owner,
            server=self.server,
            pool=self.pool,
            size=Resources(self.cpu_millicores, self.memory_bytes),
        )


class CreatedPod(WantedPod):
    """A pod that was created."""

    uid: str = Field(min_length=1, max_length=64, description="Identifier of the pod.")


@router.get("", summary="What your labs use, and what they may; for administrators, what all use")
def allocation(principal: Known, service: Service) -> dict[str, Any]:
    sees_all = Scope.ADMIN in principal.scopes
    usage = service.usage(principal.name, pools=principal.groups, everybody=sees_all)
    return usage_json(usage, is_counted=service.is_kept, everybody=sees_all)


@router.post("/reservations", summary="Reserve before a pod is created; asked by the hub alone", status_code=201)
def reserve(wanted: WantedPod, _: Hub, service: Service) -> dict[str, str]:
    return {"id": service.reserve(wanted.to_claim()).id}


@router.post("/reservations/{reservation_id}/confirm", summary="A pod was created; told by the hub alone")
def confirm(reservation_id: Id, created: CreatedPod, _: Hub, service: Service) -> Response:
    service.confirm(reservation_id, created.to_claim(), created.uid)
    return Response(status_code=_NO_CONTENT)


@router.delete("/reservations/{reservation_id}", summary="No pod was created; told by the hub alone")
def cancel(reservation_id: Id, _: Hub, service: Service) -> Response:
    service.cancel(reservation_id)
    return Response(status_code=_NO_CONTENT)


@router.delete("/pods/{namespace}/{pod}", summary="A pod is gone; told by the hub alone")
def release(
    namespace: str,
    pod: str,
    uid: Annotated[str, Query(description="Identifier of the pod that is gone: a later one of its name stays.")],
    _: Hub,
    service: Service,
) -> Response:
    service.release(PodName(namespace, pod), uid)
    return Response(status_code=_NO_CONTENT)
