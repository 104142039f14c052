"""HTTP: with whom a query is shared."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from pachon.queries.saved.documents import NewShare, ShareDocument
from pachon.queries.saved.handlers import Known, Service
from pachon.queries.saved.service import Reader
from pachon.queries.saved.sharing import Role
from pachon.queries.saved.telling import share_document

router = APIRouter(prefix="/queries", tags=["saved queries"])


@router.get("/{query_id}/shares", summary="With whom your query is shared")
def shares(query_id: str, principal: Known, saved: Service) -> dict[str, Any]:
    query = saved.queries.get(Reader(principal), query_id, needed=Role.OWNER)
    return {"shares": [share_document(each) for each in query.shares]}


@router.post("/{query_id}/shares", summary="Share your query: person, group, link or public", status_code=201)
def share(query_id: str, given: NewShare, principal: Known, saved: Service) -> ShareDocument:
    made, token = saved.queries.share(
        principal, query_id, given.audience, given.who, may_edit=given.may_edit, expires_at=given.expires_at
    )
    return saved.shared(query_id, made, token)


@router.delete("/{query_id}/shares/{share_id}", summary="Share no longer", status_code=204)
def unshare(query_id: str, share_id: str, principal: Known, saved: Service) -> None:
    saved.queries.unshare(principal, query_id, share_id)
