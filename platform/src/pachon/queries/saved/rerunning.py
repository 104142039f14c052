"""The same question to another release, or what is missing there."""

from __future__ import annotations

from dataclasses import replace

from pachon.core.errors import ConflictError, UsageError
from pachon.identity.models import Principal
from pachon.queries.saved.models import Content, SavedQuery
from pachon.queries.saved.naming import columns_named, releases_named, renamed, tables_named
from pachon.queries.saved.service import Edit, Reader, SavedQueryService
from pachon.releases.models import Lifecycle, Release
from pachon.releases.service import ReleaseService

_MAX_LISTED = 20


class OtherRelease:
    """Rewrites queries to another release.

    Parameters
    ----------
    saved
        Where the rewritten text becomes a version.
    releases
        What there is for a person.
    """

    def __init__(self, saved: SavedQueryService, releases: ReleaseService) -> None:
        self._saved = saved
        self._releases = releases

    def move(self, principal: Principal, query: SavedQuery, release_id: str, *, source: str | None) -> SavedQuery:
        """Add a version that asks another release.

        Parameters
        ----------
        source
            Which of the releases that the text names to replace; None if it names one only.

        Raises
        ------
        NotFoundError
            If there is no such release for this person.
        ConflictError
            If it is archived.
        UsageError
            If it is not clear what to replace, or the other release lacks a table or column.
        """
        adql = query.newest.content.adql
        target = self._releases.release(principal, release_id)
        if target.lifecycle is Lifecycle.ARCHIVED:
            raise ConflictError(f"Release {target.id} is archived and not queried any more; its files can be had.")
        source = self._source(adql, source)
        lacking = self._lacking(principal, adql, source, target)
        if lacking:
            raise UsageError(f"Release {target.id} lacks what the query asks for: {', '.join(lacking)}.")
        text = renamed(adql, source=source, target=target.id)

        def move(content: Content) -> Content:
            return replace(content, adql=text, form=None)

        edit = Edit(change=move, based_on=query.newest.number, note=f"On release {target.id} instead of {source}")
        return self._saved.edit(Reader(principal), query.id, edit)

    @staticmethod
    def _source(adql: str, given: str | None) -> str:
        named = releases_named(adql)
        if given is not None:
            return given.lower()
        if len(named) != 1:
            told = ", ".join(named) or "none"
            raise UsageError(f"from must say which release to replace; the query names {told}.", parameter="from")
        return named[0]

    def _lacking(self, principal: Principal, adql: str, source: str, target: Release) -> list[str]:
        """Tables, and of the others the columns, that the query names in its old release and not in the new."""
        present = {table.name.lower(): table for table in target.tables}
        former = {table.qualified_name.lower(): table for table in self._releases.tables(principal)}
        columns = columns_named(adql)
        lacking = []
        for schema, name in tables_named(adql):
            if schema.lower() != source:
                continue
            table = present.get(name.lower())
            if table is None:
                lacking.append(f"table {name}")
                continue
            here = {column.name.lower() for column in table.columns}
            old = former.get(f"{source}.{name}".lower())
            gone = columns.intersection(column.name.lower() for column in old.columns) - here if old else set()
            lacking += [f"column {column} of {name}" for column in sorted(gone)]
        return lacking[:_MAX_LISTED]
