"""Queries as documents, for one reader: figures only where their rights reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from pachon.queries.line import Wait
from pachon.queries.saved.documents import (
    QueryDocument,
    ResultDocument,
    RunDocument,
    RunningDocument,
    ShareDocument,
    SummaryDocument,
    UploadDocument,
    VersionDocument,
    WaitDocument,
)
from pachon.queries.saved.models import Audience, QueryRun, SavedQuery, Share, Summary, Version
from pachon.queries.saved.reading import ResultService
from pachon.queries.saved.rerunning import OtherRelease
from pachon.queries.saved.running import RunService, UnderWay
from pachon.queries.saved.service import Reader, SavedQueryService
from pachon.queries.saved.sharing import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """All that is asked of saved queries.

    Parameters
    ----------
    base_url
        Public address of the platform, without a trailing slash.
    """

    queries: SavedQueryService
    runs: RunService
    results: ResultService
    other_release: OtherRelease
    base_url: str

    def query(self, reader: Reader, query: SavedQuery) -> QueryDocument:
        """A query with its newest version, as it is now."""
        query = self.current(query)
        role = self.queries.role(reader, query)
        address = self._address(query.id)
        link = f"&{urlencode({'link': reader.token})}" if reader.token and role is Role.READER else ""
        return QueryDocument(
            id=query.id,
            owner=query.owner,
            access={Role.OWNER: "owner", Role.EDITOR: "editor"}.get(role, "reader"),
            state=query.state,
            releases=list(query.releases),
            parent=citation(query.parent_id, query.parent_version or 0) if query.parent_id else None,
            created_at=query.created_at,
            changed_at=query.changed_at,
            current=self._version(reader, query, query.newest),
            shares=[share_document(each) for each in query.shares] if role is Role.OWNER else None,
            links={
                "self": address,
                "versions": f"{address}/versions",
                "result": f"{address}/result",
                "portal": f"{self.base_url}/portal/?q={query.id}{link}",
                "lab": f"{self.base_url}/hub/user-redirect/lab?query={query.id}{link}",
            },
        )

    def version(self, reader: Reader, query: SavedQuery, version: Version) -> VersionDocument:
        """One version of a query, as it is now."""
        return self._version(reader, query, self.settled(version))

    def current(self, query: SavedQuery) -> SavedQuery:
        """A query whose newest run is known as it is now."""
        return replace(query, newest=self.settled(query.newest))

    def shared(self, query_id: str, share: Share, token: str) -> ShareDocument:
        """A share that was just made: of a link with its token and the address to send."""
        if not token:
            return share_document(share)
        address = f"{self.base_url}/portal/?q={query_id}&link={token}"
        return share_document(share).model_copy(update={"token": token, "address": address})

    def settled(self, version: Version) -> Version:
        """A version whose run is known as it is now."""
        return version if version.run is None else replace(version, run=self.runs.settled(version.run))

    def _version(self, reader: Reader, query: SavedQuery, version: Version) -> VersionDocument:
        content, address = version.content, f"{self._address(query.id)}/versions/{version.number}"
        return VersionDocument(
            number=version.number,
            author=version.author,
            created_at=version.created_at,
            based_on=version.based_on,
            note=version.note,
            name=content.name,
            notes=content.notes,
            tags=list(content.tags),
            adql=content.adql,
            form=dict(content.form) if content.form is not None else None,
            max_rows=content.max_rows,
            uploads=[UploadDocument(name=each.name, uri=each.uri) for each in content.uploads],
            view=dict(content.view) if content.view is not None else None,
            run=self._run(reader, version.run) if version.run else None,
            former_run=self._run(reader, version.shown) if version.shown and version.shown != version.run else None,
            result=self._result(reader, query.id, version),
            citation=citation(query.id, version.number),
            address=address,
        )

    def _run(self, reader: Reader, run: QueryRun) -> RunDocument:
        is_theirs = _is_of(reader, run)
        may_know = self.results.refusal(reader.principal, run) is None
        has_figures = run.is_over and may_know and run.phase == "COMPLETED"
        return RunDocument(
            id=run.id,
            version=run.version,
            phase=run.phase,
            asked_by=run.asked_by,
            client=run.client,
            asked_at=run.asked_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
            in_line=_wait_document(self.runs.wait(run)),
            job=run.job_id if is_theirs else None,
            execution=run.execution_id if is_theirs else None,
            row_count=run.row_count if has_figures else None,
            overflow=run.overflow if has_figures else None,
            error=self._error(reader, run),
        )

    def _error(self, reader: Reader, run: QueryRun) -> str | None:
        """What went wrong with a run, as far as this reader may know."""
        may_know = self.results.refusal(reader.principal, run) is None
        return run.error if may_know and (bool(run.tables) or _is_of(reader, run)) else None

    def _result(self, reader: Reader, query_id: str, version: Version) -> ResultDocument:
        run = version.run
        absence = self.results.absence(reader.principal, version)
        if absence is not None or run is None:
            is_foreign_fault = run is not None and not run.tables and run.asked_by != reader.principal.name
            told = f"The run ended with {run.phase}." if run and is_foreign_fault and run.is_over else absence
            return ResultDocument(available=False, reason=told)
        address = f"{self._address(query_id)}/result?version={version.number}"
        shown, reason = version.shown or run, None
        if shown != run:
            asked = f"{shown.asked_at:%Y-%m-%d %H:%M} UTC"
            told = f"The rows are those of the run of {asked}: the last ended with {run.phase}."
            reason = " ".join(part for part in (told, self._error(reader, run)) if part)
        return ResultDocument(available=True, reason=reason, address=address, size_bytes=shown.result_bytes)

    def _address(self, query_id: str) -> str:
        return f"{self.base_url}/api/queries/{query_id}"


def _is_of(reader: Reader, run: QueryRun) -> bool:
    return bool(reader.principal.name) and run.asked_by == reader.principal.name


def citation(query_id: str, number: int) -> str:
    """Id of a version, stable for as long as the query is kept."""
    return f"{query_id}.v{number}"


def share_document(share: Share) -> ShareDocument:
    """A share, without what would open it."""
    return ShareDocument(
        id=share.id,
        audience=share.audience,
        who=share.who if share.audience in {Audience.PERSON, Audience.GROUP} else None,
        may_edit=share.may_edit,
        expires_at=share.expires_at,
        created_at=share.created_at,
    )


def running_document(found: UnderWay) -> RunningDocument:
    """A job that has not ended."""
    job = found.job
    return RunningDocument(
        job=job.id,
        phase=job.phase.value,
        client=job.client,
        adql=next((value for name, value in job.parameters if name == "QUERY"), ""),
        created_at=job.created_at,
        started_at=job.started_at,
        query=found.query_id,
        in_line=_wait_document(found.wait),
    )


def _wait_document(wait: Wait | None) -> WaitDocument | None:
    return None if wait is None else WaitDocument(position=wait.position, seconds=round(wait.seconds, 1))


def summary_document(summary: Summary, name: str) -> SummaryDocument:
    """A query as a list tells it to a person; a list asks no rights, so figures are the owner's alone."""
    return SummaryDocument(
        id=summary.id,
        owner=summary.owner,
        name=summary.name,
        adql=summary.adql,
        tags=list(summary.tags),
        releases=list(summary.releases),
        state=summary.state,
        version=summary.version,
        row_count=summary.row_count if summary.owner == name else None,
        created_at=summary.created_at,
        changed_at=summary.changed_at,
    )
