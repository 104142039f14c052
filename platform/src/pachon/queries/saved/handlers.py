"""HTTP: saved queries below `/queries`: make, find, read, change, restore, fork, run and delete them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime, BaseModel

from pachon.core.errors import AuthenticationError, UsageError
from pachon.identity.handlers import asking_principal
from pachon.identity.models import Principal
from pachon.queries.handlers import asking_client, known_principal
from pachon.queries.saved.documents import (
    EditedQuery,
    NewQuery,
    QueryDocument,
    RunRequest,
    SummaryDocument,
    VersionDocument,
    query_schema,
)
from pachon.queries.saved.models import Content, QueryRun, SavedQuery, Upload, Wanted, Whose
from pachon.queries.saved.service import Edit, Reader
from pachon.queries.saved.sharing import Role
from pachon.queries.saved.telling import Saved, running_document, summary_document

router = APIRouter(prefix="/queries", tags=["saved queries"])

_MAX_PAGE = 200
_ANY = "*"


async def saved_queries(request: Request) -> Saved:
    """The services behind these addresses."""
    saved: Saved = request.app.state.services.saved
    return saved


async def asking_reader(
    principal: Annotated[Principal, Depends(asking_principal)],
    link: Annotated[str, Query(description="Token of a link that the owner made.")] = "",
) -> Reader:
    """Who reads: a person, or whoever brings the token of a link."""
    return Reader(principal, link)


def changing_reader(request: Request, reader: Annotated[Reader, Depends(asking_reader)]) -> Reader:
    """Who changes a query; a link alone lets nobody do so, but it lets them read why.

    Raises
    ------
    AuthenticationError
        For anonymous visitors.
    """
    if reader.principal.is_anonymous:
        said = "Queries are changed, run and shared by people who are known here: log in, or send a token."
        raise AuthenticationError(getattr(request.state, "why_unknown", said))
    return reader


Service = Annotated[Saved, Depends(saved_queries)]
Known = Annotated[Principal, Depends(known_principal)]
Asking = Annotated[Reader, Depends(asking_reader)]
Changing = Annotated[Reader, Depends(changing_reader)]
Client = Annotated[str, Depends(asking_client)]
Size = Annotated[int, Query(description=f"At most this many, 1 to {_MAX_PAGE}.", ge=1, le=_MAX_PAGE)]
Number = Annotated[int | None, Query(description="Number of a version; default: the newest.", ge=1)]


@router.post(
    "", summary="Name a run, or save a text: a new query of yours", status_code=201, response_model=QueryDocument
)
def create(given: NewQuery, principal: Known, saved: Service, client: Client) -> Response:
    content, run, known = _origin(saved, principal, given)
    if known is not None:
        return _told(saved, Reader(principal), saved.queries.get(Reader(principal), known))
    if given.run:
        saved.runs.check(principal, content)
    query = saved.queries.create(principal, content, run=run)
    if given.run:
        saved.runs.run(principal, query, client=client)
        query = saved.queries.get(Reader(principal), query.id)
    answer = _told(saved, Reader(principal), query, status=201)
    answer.headers["Location"] = f"{saved.base_url}/api/queries/{query.id}"
    return answer


def _origin(saved: Saved, principal: Principal, given: NewQuery) -> tuple[Content, QueryRun | None, str | None]:
    """What a new query is made from; and of a run, the query that was made from it before."""
    if sum(each is not None for each in (given.execution, given.job, given.adql)) != 1:
        raise UsageError("Give one of execution, job and adql: what the query is to be made from.", parameter="adql")
    run: QueryRun | None = None
    known: str | None = None
    if given.job is not None:
        base, run, known = saved.runs.of_job(principal, given.job)
    elif given.execution is not None:
        base, run, known = saved.runs.of_execution(principal, given.execution)
    else:
        uploads = tuple(Upload(each.name, each.uri) for each in given.uploads)
        base = Content(name="", adql=given.adql or "", max_rows=given.max_rows, uploads=uploads)
    written = {name: getattr(given, name) for name in ("name", "notes", "form", "view")}
    return replace(base, tags=tuple(given.tags), **written), run, known


@router.get("", summary="Your queries and those shared with you, newest change first")
def find(  # noqa: PLR0917 -- the framework passes them by keyword
    principal: Known,
    saved: Service,
    limit: Size = 50,
    before: Annotated[str | None, Query(description="The `next_before` of a page: continues after it.")] = None,
    whose: Annotated[Whose, Query(description="`mine`, `shared` with you, or `all`.")] = Whose.ALL,
    text: Annotated[str, Query(description="Words in name, tags, notes or ADQL; the last may be a beginning.")] = "",
    name: Annotated[str | None, Query(description="The whole name.")] = None,
    release: Annotated[str | None, Query(description="Id of a release that the text names.")] = None,
    tag: Annotated[str | None, Query(description="One tag.")] = None,
    state: Annotated[str | None, Query(description="`DRAFT`, or a phase of UWS.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Changed at this moment or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Changed before this moment.")] = None,
) -> dict[str, Any]:
    wanted = Wanted(
        whose=whose,
        text=text,
        name=name,
        release=release,
        tag=tag,
        state=state,
        since=since,
        until=until,
        before=None if before is None else _place(before),
    )
    page = saved.queries.list(principal, wanted, limit=limit)
    documents: list[SummaryDocument] = [summary_document(each, principal.name) for each in page]
    return {"queries": documents, "next_before": str(page[-1].place) if len(page) == limit else None}


@router.get("/schema", summary="JSON Schema of a query and its view state")
def schema() -> dict[str, Any]:
    return query_schema()


@router.get("/running", summary="What runs or waits of yours, from any program, newest first")
def running(principal: Known, saved: Service) -> dict[str, Any]:
    return {"running": [running_document(each) for each in saved.runs.running(principal)]}


@router.get("/quota", summary="What you keep, and how much you may")
def quota(principal: Known, saved: Service) -> dict[str, Any]:
    limits = saved.queries.limits
    used_bytes = saved.runs.used_bytes(principal.name)
    return {"result_bytes": used_bytes, "max_result_bytes": limits.max_result_bytes_per_person}


@router.get("/{query_id}", summary="One query with its newest version", response_model=QueryDocument)
def show(query_id: str, reader: Asking, saved: Service, if_none_match: Annotated[str, Header()] = "") -> Response:
    answer = _told(saved, reader, saved.queries.get(reader, query_id))
    if answer.headers["ETag"] in if_none_match:
        return Response(status_code=304, headers={"ETag": answer.headers["ETag"]})
    return answer


@router.patch("/{query_id}", summary="Change a query: makes a version", response_model=QueryDocument)
def edit(
    query_id: str,
    given: EditedQuery,
    reader: Changing,
    saved: Service,
    if_match: Annotated[str, Header(description="The ETag of what you changed, or `*`.")] = "",
) -> Response:
    changes = {name: getattr(given, name) for name in given.model_fields_set - {"note", "conflict"}}
    wanted = Edit(
        change=lambda content: _changed(content, changes),
        based_on=_version_of(if_match),
        keeps_both=given.conflict == "keep",
        note=given.note,
    )
    return _told(saved, reader, saved.queries.edit(reader, query_id, wanted))


@router.delete("/{query_id}", summary="Delete a query, its versions and results", status_code=204)
def delete(query_id: str, reader: Changing, saved: Service) -> None:
    saved.queries.delete(reader, query_id)


@router.get("/{query_id}/versions", summary="Versions of a query, newest first")
def versions(
    query_id: str,
    reader: Asking,
    saved: Service,
    limit: Size = 50,
    before: Annotated[int | None, Query(description="Only those with a smaller number.")] = None,
) -> dict[str, Any]:
    query = saved.queries.get(reader, query_id)
    page = saved.queries.versions(reader, query_id, limit=limit, before=before)
    documents: list[VersionDocument] = [saved.version(reader, query, each) for each in page]
    return {"versions": documents, "next_before": page[-1].number if len(page) == limit else None}


@router.get("/{query_id}/versions/{number}", summary="One version of a query")
def version(query_id: str, number: int, reader: Asking, saved: Service) -> VersionDocument:
    query, found = saved.queries.version(reader, query_id, number)
    return saved.version(reader, query, found)


@router.post(
    "/{query_id}/versions/{number}/restore", summary="Make a version the newest again", response_model=QueryDocument
)
def restore(query_id: str, number: int, reader: Changing, saved: Service) -> Response:
    return _told(saved, reader, saved.queries.restore(reader, query_id, number))


@router.post("/{query_id}/fork", summary="A copy of your own", status_code=201, response_model=QueryDocument)
def fork(query_id: str, principal: Known, reader: Asking, saved: Service, number: Number = None) -> Response:
    query = saved.queries.fork(reader, query_id, number=number)
    return _told(saved, Reader(principal), query, status=201)


@router.post("/{query_id}/run", summary="Run the newest version, or ask another release", response_model=QueryDocument)
def run(query_id: str, reader: Changing, saved: Service, client: Client, given: RunRequest | None = None) -> Response:
    query = saved.queries.get(reader, query_id, needed=Role.EDITOR)
    if given is not None and given.release is not None:
        query = saved.other_release.move(reader.principal, query, given.release, source=given.source)
    saved.runs.run(reader.principal, query, client=client)
    return _told(saved, reader, saved.queries.get(reader, query_id))


def _told(saved: Saved, reader: Reader, query: SavedQuery, *, status: int = 200) -> Response:
    """A query as its document; its tag holds the number of the version, which alone counts for changes."""
    return _document(saved.query(reader, query), query.newest.number, status=status)


def _document(document: BaseModel, number: int, *, status: int) -> Response:
    body = document.model_dump_json().encode()
    tag = f'"{number}-{hashlib.sha256(body).hexdigest()[:16]}"'
    return Response(body, status, headers={"ETag": tag}, media_type="application/json")


def _changed(content: Content, changes: Mapping[str, Any]) -> Content:
    given = dict(changes)
    for name in ("name", "adql", "notes"):
        if name in given and given[name] is None:
            raise UsageError(f"{name} must be a text, not null.", parameter=name)
    if "tags" in given:
        given["tags"] = tuple(given["tags"] or ())
    if "uploads" in given:
        given["uploads"] = tuple(Upload(each.name, each.uri) for each in given["uploads"] or ())
    return replace(content, **given)


def _version_of(if_match: str) -> int | None:
    """The version that a tag names."""
    tag = if_match.strip().removeprefix("W/").strip('"')
    if tag == _ANY:
        return None
    number = tag.partition("-")[0]
    if not number.isdecimal() or len(number) > 9:  # noqa: PLR2004 -- more digits than versions
        raise UsageError("If-Match must be the ETag of the query that you changed, or *.", parameter="If-Match")
    return int(number)


def _place(text: str) -> int:
    if not text.isdecimal() or len(text) > 19:  # noqa: PLR2004 -- digits of a 64-bit integer
        raise UsageError("before must be the next_before of a page.", parameter="before")
    return int(text)
