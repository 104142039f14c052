"""HTTP: TAP 1.1, asynchronous: jobs by UWS 1.1, below `/tap/async`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from pachon.identity.handlers import asking_principal
from pachon.identity.models import Principal
from pachon.queries.handlers import asking_client
from pachon.queries.jobs.models import Job
from pachon.releases.downloads import Downloads, DownloadTurn
from pachon.tap.handlers import QUERY_PARAMETERS, WithFiles, described, tap_service
from pachon.tap.jobs import TapJobs, failure
from pachon.tap.service import TapService
from pachon.tap.waiting import Patience, Waiters
from pachon.vo import uws, votable
from pachon.vo.dali import Parameters
from pachon.vo.http import RowStream, VORoute, parameters

router = APIRouter(prefix="/tap/async", tags=["tap"], route_class=VORoute)


def _service(request: Request) -> TapJobs:
    service: TapJobs = request.app.state.services.jobs
    return service


Asking = Annotated[Principal, Depends(asking_principal)]
Given = Annotated[Parameters, Depends(parameters)]
Service = Annotated[TapJobs, Depends(_service)]

_LIST = described(
    PHASE="Only in this phase; may be repeated.",
    AFTER="Only those made after this moment (UTC).",
    LAST="Only the newest so many, newest first.",
)
_WAIT = described(
    WAIT="Seconds to wait for another phase, -1 for the longest.", PHASE="Wait only while this is the phase."
)


async def _place(request: Request, principal: Asking) -> DownloadTurn:
    """A place among the downloads of who asks; anonymous visitors are told apart by their address."""
    downloads: Downloads = request.app.state.services.downloads
    address = request.client.host if request.client else ""
    return downloads.turn(principal.name or f"@{address}")


def _found(job_id: str, principal: Asking, service: Service) -> Job:
    return service.jobs.get(principal, job_id)


async def _changed(job_id: str, principal: Asking, service: Service, given: Given, request: Request) -> Job:
    waiters: Waiters = request.app.state.services.waiters
    read = partial(service.jobs.get, principal, job_id)
    return await waiters.wait(read, Patience.from_parameters(given), until_gone=partial(_until_gone, request))


@router.get("", summary="Your jobs", openapi_extra=_LIST, response_class=Response)
def list_jobs(given: Given, principal: Asking, service: Service) -> Response:
    return _xml(uws.jobs(service.list(principal, given)))


@router.post(
    "",
    summary="Make a job",
    openapi_extra=described(PHASE="RUN to have it executed.", **QUERY_PARAMETERS),
    response_class=Response,
    status_code=303,
)
def create(
    given: WithFiles, principal: Asking, service: Service, client: Annotated[str, Depends(asking_client)]
) -> Response:
    return _see(service.address(service.create(principal, given, client=client)))


@router.get("/{job_id}", summary="One job", openapi_extra=_WAIT, response_class=Response)
def show(job: Annotated[Job, Depends(_changed)], service: Service) -> Response:
    return _xml(uws.job(service.whole_document(job)), job)


@router.post(
    "/{job_id}",
    summary="Delete a job, for clients that cannot send DELETE",
    openapi_extra=described(ACTION="DELETE."),
    response_class=Response,
    status_code=303,
)
def act(job_id: str, given: Given, principal: Asking, service: Service) -> Response:
    service.act(principal, job_id, given)
    return _see(service.list_address)


@router.delete("/{job_id}", summary="Delete a job and its result", response_class=Response, status_code=303)
def delete(job_id: str, principal: Asking, service: Service) -> Response:
    service.jobs.delete(principal, job_id)
    return _see(service.list_address)


@router.get("/{job_id}/phase", summary="The phase of a job", response_class=PlainTextResponse)
def phase(job: Annotated[Job, Depends(_found)]) -> PlainTextResponse:
    return PlainTextResponse(job.phase.value)


@router.post(
    "/{job_id}/phase",
    summary="Run or abort a job",
    openapi_extra=described(PHASE="RUN or ABORT."),
    response_class=Response,
    status_code=303,
)
def change_phase(job_id: str, given: Given, principal: Asking, service: Service) -> Response:
    return _see(service.address(service.change_phase(principal, job_id, given)))


@router.get("/{job_id}/executionduration", summary="How long a job may execute", response_class=PlainTextResponse)
def duration(job: Annotated[Job, Depends(_found)]) -> PlainTextResponse:
    return PlainTextResponse(str(job.duration_s))


@router.post(
    "/{job_id}/executionduration",
    summary="Change how long a job may execute",
    openapi_extra=described(EXECUTIONDURATION="Seconds; 0 for the longest allowed."),
    response_class=Response,
    status_code=303,
)
def change_duration(job_id: str, given: Given, principal: Asking, service: Service) -> Response:
    return _see(service.address(service.change_duration(principal, job_id, given)))


@router.get("/{job_id}/destruction", summary="Until when a job is kept", response_class=PlainTextResponse)
def destruction(job: Annotated[Job, Depends(_found)]) -> PlainTextResponse:
    return PlainTextResponse(uws.moment(job.destruction))


@router.post(
    "/{job_id}/destruction",
    summary="Change until when a job is kept",
    openapi_extra=described(DESTRUCTION="A moment to come (UTC)."),
    response_class=Response,
    status_code=303,
)
def change_destruction(job_id: str, given: Given, principal: Asking, service: Service) -> Response:
    return _see(service.address(service.change_destruction(principal, job_id, given)))


@router.get("/{job_id}/quote", summary="When a job is expected to end", response_class=PlainTextResponse)
def quote(job: Annotated[Job, Depends(_found)], service: Service) -> PlainTextResponse:
    expected = service.jobs.expected_end(job)
    return PlainTextResponse("" if expected is None else uws.moment(expected))


@router.get("/{job_id}/owner", summary="Whose a job is", response_class=PlainTextResponse)
def owner(job: Annotated[Job, Depends(_found)]) -> PlainTextResponse:
    return PlainTextResponse(job.owner)


@router.get("/{job_id}/error", summary="Why a job has no result", response_class=Response)
def error(job: Annotated[Job, Depends(_found)]) -> Response:
    return Response(votable.error_document(failure(job).message), media_type=votable.MEDIA_TYPE)


@router.get("/{job_id}/parameters", summary="What a job asks", response_class=Response)
def job_parameters(job: Annotated[Job, Depends(_found)], service: Service) -> Response:
    return _xml(uws.parameters(service.document(job)), job)


@router.post(
    "/{job_id}/parameters",
    summary="Change what a job asks",
    openapi_extra=described(**QUERY_PARAMETERS),
    response_class=Response,
    status_code=303,
)
def change_parameters(job_id: str, given: WithFiles, principal: Asking, service: Service) -> Response:
    return _see(service.address(service.change_parameters(principal, job_id, given)))


@router.get("/{job_id}/results", summary="The results of a job", response_class=Response)
def results(job: Annotated[Job, Depends(_found)], service: Service) -> Response:
    return _xml(uws.results(service.document(job)), job)


@router.get("/{job_id}/results/result", summary="The rows that a job found", response_class=Response)
def result(
    job: Annotated[Job, Depends(_found)],
    principal: Asking,
    service: Service,
    tap: Annotated[TapService, Depends(tap_service)],
    place: Annotated[DownloadTurn, Depends(_place)],
) -> Response:
    request = service.request(job)
    return RowStream(
        lambda: service.jobs.result(principal, job),
        turn=place,
        form=request.form,
        heading=request.heading(),
        file_name="result",
        services=partial(tap.services, principal),
    )


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _headers(job: Job) -> dict[str, str]:
    return {"X-Pachon-Execution": job.execution_id} if job.execution_id else {}


def _xml(document: str, job: Job | None = None) -> Response:
    return Response(document, media_type=uws.MEDIA_TYPE, headers=_headers(job) if job else None)


def _see(address: str) -> Response:
    return RedirectResponse(address, status_code=303)
