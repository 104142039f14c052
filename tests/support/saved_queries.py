"""Saved queries made up for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pachon.core.ids import new_id
from pachon.queries.saved.models import Content, QueryRun, SavedQuery, Version

NOON = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
VIEW = {
    "schema_version": "1.0",
    "columns": [{"name": "ra"}, {"name": "dec", "visible": False}],
    "filters": [{"column": "mag", "op": "<", "value": 17.5}],
    "selection": {"kind": "box", "x": "ra", "y": "dec", "x_range": [10.0, 20.5], "y_range": [-1, 1e-300]},
    "sky": {"ra_deg": 56.75, "dec_deg": 24.12, "fov_deg": 2.0},
}


def content(name: str = "Pleiades", adql: str = "SELECT ra, dec FROM sky.stars", **more: Any) -> Content:
    return Content(name=name, adql=adql, **more)


def query(owner: str, given: Content | None = None, *, releases: tuple[str, ...] = ("sky",)) -> SavedQuery:
    version = Version(number=1, content=given or content(), author=owner, created_at=NOON)
    return SavedQuery(id=new_id(), owner=owner, created_at=NOON, changed_at=NOON, newest=version, releases=releases)


def run(of: SavedQuery, **more: Any) -> QueryRun:
    given = {"asked_by": of.owner, "groups": (), "phase": "QUEUED", "asked_at": NOON, "client": "pyvo"} | more
    return QueryRun(id=new_id(), query_id=of.id, version=of.newest.number, **given)
