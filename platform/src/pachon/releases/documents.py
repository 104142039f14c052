"""Releases as JSON: short for lists, in full for one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from pachon.releases.models import Column, Release, Table
from pachon.rights.models import Access

if TYPE_CHECKING:
    from pachon.identity.models import Principal
    from pachon.releases.service import ReleaseService


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one person may do today: ids of the releases that they may query and download."""

    query: frozenset[str]
    download: frozenset[str]

    @classmethod
    def of(cls, service: ReleaseService, principal: Principal) -> Self:
        """Ask the service."""
        return cls(
            frozenset(each.id for each in service.visible(principal, Access.QUERY)),
            frozenset(each.id for each in service.visible(principal, Access.FILE)),
        )


def release_json(release: Release, may: Permissions, public_from: date | None, *, full: bool) -> dict[str, Any]:
    """A release as JSON.

    Parameters
    ----------
    public_from
        First day on which everybody may read it; None for never.
    full
        With provenance, history and the columns and keys of its tables.
    """
    document = {
        **_head(release),
        "public_from": public_from.isoformat() if public_from else None,
        "may_query": release.id in may.query,
        "may_download": release.id in may.download,
        "tables": [(_full_table if full else _table)(table) for table in release.tables],
        "images": [asdict(collection) for collection in release.images],
        "files": [asdict(collection) for collection in release.files],
    }
    if full:
        document["provenance"] = list(release.provenance)
        document["history"] = [{"at": event.at.isoformat(), "event": event.event} for event in release.history]
    return document


def _head(release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "title": release.title,
        "description": release.description,
        "kind": release.kind.value,
        "date": release.date.isoformat(),
        "lifecycle": release.lifecycle.value,
        "tier": release.tier.value,
        "audience": release.audience.value,
        "size_bytes": release.size_bytes,
        "simulated": release.simulated,
        "source": release.source,
        "doi": release.doi,
        "licence": release.licence,
        "credit": release.credit,
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
    }


def _full_table(table: Table) -> dict[str, Any]:
    return {
        **_table(table),
        "primary_key": list(table.primary_key),
        "foreign_keys": [asdict(key) for key in table.foreign_keys],
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
