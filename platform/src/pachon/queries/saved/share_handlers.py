"""HTTP: with whom a query is shared."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from pachon.queries.saved.documents import NewShare, ShareDocument
from pachon.queries.saved.handlers import Changing, Service
from pachon.queries.saved.sharing import Role
from pachon.queries.saved.telling import share_document

router = APIRouter(prefix="/queries", tags=["saved queries"])


@router.get("/{query_id}/shares", summary="With whom your query is shared")
def shares(query_id: str, reader: Changing, saved: Service) -> dict[str, Any]:
    query = saved.queries.get(reader, query_id, needed=Role.OWNER)
    return {"shares": [share_document(each) for each in query.shares]}


@router.post("/{query_id}/shares", summary="Share your query: person, group, link or public", status_code=201)
def share(query_id: str, given: NewShare, reader: Changing, saved: Service) -> ShareDocument:
    made, token = saved.queries.share(
        reader, query_id, given.audience, given.who, may_edit=given.may_edit, expires_at=given.expires_at
    )
    return saved.shared(query_id, made, token)


@router.delete("/{query_id}/shares/{share_id}", summary="Share no longer", status_code=204)
def unshare(query_id: str, share_id: str, reader: Changing, saved: Service) -> None:
    saved.queries.unshare(reader, query_id, share_id)
