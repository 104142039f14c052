"""HTTP: rows of saved queries, in every format and by pages, and what differs between two versions."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from pachon.core.errors import UsageError
from pachon.queries.saved.filtering import Condition
from pachon.queries.saved.handlers import Asking, Changing, Service
from pachon.queries.saved.models import Version
from pachon.queries.saved.rows import Window
from pachon.queries.saved.sharing import Role
from pachon.queries.saved.view_state import Filter, SortKey, ViewState
from pachon.releases.downloads import Downloads, DownloadTurn
from pachon.vo import formats
from pachon.vo.dali import Parameters
from pachon.vo.http import RowRoute, RowStream, parameters
from pachon.vo.models import Heading, Info

router = APIRouter(prefix="/queries", tags=["saved queries"], route_class=RowRoute)

_FILTERS = TypeAdapter(list[Filter])
_MAX_OFFSET = 2**40
_FORMAT: dict[str, Any] = {
    "parameters": [
        {
            "name": "RESPONSEFORMAT",
            "in": "query",
            "schema": {"type": "string"},
            "description": "As in `/api/tap/sync`; default: arrow.",
        }
    ]
}


async def _place(request: Request, reader: Asking) -> DownloadTurn:
    """A place among the downloads of who asks; anonymous visitors are told apart by their address."""
    downloads: Downloads = request.app.state.services.downloads
    address = request.client.host if request.client else ""
    return downloads.turn(reader.principal.name or f"@{address}")


def _condition_of(
    filters: Annotated[
        str, Query(alias="filter", description="JSON list of filters, as `filters` of the view state.")
    ] = "",
    shown: Annotated[bool, Query(description="Only rows that the view state of the version selects.")] = False,  # noqa: FBT002 -- the framework passes it by keyword
) -> _Asked:
    return _Asked(filters, shown)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """Which rows are asked for."""

    filters: str
    shown: bool

    def condition(self, version: Version) -> Condition | None:
        """What rows must pass; None for all rows."""
        given = _filters(self.filters)
        if not self.shown or version.content.view is None:
            return Condition(given) if given else None
        view = Condition.of_view(ViewState.model_validate(dict(version.content.view)))
        return dataclasses.replace(view, filters=(*view.filters, *given))


def _filters(text: str) -> tuple[Filter, ...]:
    try:
        return tuple(_FILTERS.validate_json(text)) if text else ()
    except ValidationError as error:
        complaint = error.errors(include_url=False)[0]
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in complaint["loc"])
        raise UsageError(f"filter{path}: {complaint['msg']}.", parameter="filter") from None


Rows = Annotated[_Asked, Depends(_condition_of)]


@router.get("/{query_id}/result", summary="Rows of a query", response_class=Response, openapi_extra=_FORMAT)
def result(  # noqa: PLR0917 -- the framework passes them by keyword
    query_id: str,
    reader: Asking,
    saved: Service,
    asked: Rows,
    given: Annotated[Parameters, Depends(parameters)],
    place: Annotated[DownloadTurn, Depends(_place)],
    number: Annotated[int | None, Query(alias="version", description="Default: the newest.", ge=1)] = None,
    offset: Annotated[int, Query(description="Rows to leave out first.", ge=0, le=_MAX_OFFSET)] = 0,
    limit: Annotated[int | None, Query(description="At most this many rows.", ge=0)] = None,
    columns: Annotated[str, Query(description="Names, with commas between; default: all.")] = "",
    sort: Annotated[str, Query(description="Names, with commas between; `-` before one: largest first.")] = "",
    places: Annotated[bool, Query(description="Begin with the place of each row in the whole result.")] = False,  # noqa: FBT002 -- the framework passes it by keyword
) -> Response:
    query, version = saved.queries.version(reader, query_id, number)
    version = saved.settled(version)
    window = Window(
        columns=tuple(columns.split(",")) if columns else None,
        condition=asked.condition(version),
        sort=_sort(sort),
        offset=offset,
        limit=limit,
        has_places=places,
    )
    form = formats.choose(given, default=formats.ARROW)
    heading = Heading(infos=(Info("QUERY", version.content.adql), Info("CITATION", f"{query.id}.v{version.number}")))
    return RowStream(
        lambda: saved.results.rows(reader.principal, version, window),
        turn=place,
        form=form,
        heading=heading,
        file_name=f"query-{query.id}-v{version.number}",
    )


@router.get("/{query_id}/result/count", summary="How many rows pass filters")
def count(
    query_id: str,
    reader: Asking,
    saved: Service,
    asked: Rows,
    number: Annotated[int | None, Query(alias="version", description="Default: the newest.", ge=1)] = None,
) -> dict[str, int]:
    _, version = saved.queries.version(reader, query_id, number)
    version = saved.settled(version)
    rows = saved.results.rows(reader.principal, version, Window(condition=asked.condition(version)))
    try:
        return {"rows": version.shown.row_count if version.shown else 0, "matching": rows.count()}
    finally:
        rows.close()


@router.delete("/{query_id}/result", summary="Keep the rows of the newest version no longer", status_code=204)
def drop(query_id: str, reader: Changing, saved: Service) -> None:
    query = saved.queries.get(reader, query_id, needed=Role.OWNER)
    if query.newest.run is not None:
        saved.runs.drop(query.newest.run)


@router.get("/{query_id}/diff", summary="What differs between the rows of two versions")
def diff(  # noqa: PLR0917 -- the framework passes them by keyword
    query_id: str,
    reader: Asking,
    saved: Service,
    old: Annotated[int, Query(alias="from", description="Number of the old version.", ge=1)],
    new: Annotated[int | None, Query(alias="to", description="Of the new one; default: the newest.", ge=1)] = None,
    key: Annotated[str | None, Query(description="Column that tells rows apart; default: the identifier.")] = None,
) -> dict[str, Any]:
    versions = [saved.settled(saved.queries.version(reader, query_id, number)[1]) for number in (old, new)]
    found = saved.results.compare(reader.principal, versions[0], versions[1], key=key)
    told = dataclasses.asdict(found)
    told["row_counts"] = {"old": found.row_counts[0], "new": found.row_counts[1]}
    return {"from": versions[0].number, "to": versions[1].number, **told}


def _sort(text: str) -> tuple[SortKey, ...]:
    names = text.split(",") if text else []
    try:
        return tuple(SortKey(column=name.removeprefix("-"), descending=name.startswith("-")) for name in names)
    except ValidationError:
        raise UsageError("sort must be names of columns with commas between.", parameter="sort") from None
