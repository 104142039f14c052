"""Documents of `/api/queries`, and their JSON Schema: `schema_version` is that of `view_state`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pachon.queries.saved.models import Audience
from pachon.queries.saved.view_state import SCHEMA_VERSION, ViewState

_VIEW = "ViewState"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UploadDocument(_Given):
    """A table sent along, by reference (TAP 1.1, section 2.5)."""

    name: str = Field(description="Its name in the query, after `TAP_UPLOAD.`.")
    uri: str


class NewQuery(_Given):
    """A new query: from an execution, from a job, or from a text."""

    execution: str | None = Field(None, description="Id of an execution of yours.")
    job: str | None = Field(None, description="Id of an asynchronous TAP job of yours.")
    adql: str | None = None
    name: str = Field("", description="Default: the beginning of the text.")
    notes: str = ""
    tags: list[str] = []
    form: dict[str, Any] | None = Field(None, description="State of the form that the text came from.")
    max_rows: int | None = Field(None, description="MAXREC.")
    uploads: list[UploadDocument] = []
    view: dict[str, Any] | None = Field(None, description="View state: see the schema.")
    run: bool = Field(default=False, description="Whether to run it at once.")


class EditedQuery(_Given):
    """Members to change; those left out stay. Every change makes a version."""

    name: str | None = None
    adql: str | None = None
    notes: str | None = None
    tags: list[str] | None = None
    form: dict[str, Any] | None = None
    max_rows: int | None = None
    uploads: list[UploadDocument] | None = None
    view: dict[str, Any] | None = None
    note: str = Field("", description="What you say of this change.")
    conflict: Literal["refuse", "keep"] = Field(
        "refuse", description="If others were quicker: refuse with 412, or keep both texts as versions."
    )


class NewShare(_Given):
    """With whom to share."""

    audience: Audience
    who: str = Field("", description="Name of a person, or of a group of yours.")
    may_edit: bool = False
    expires_at: AwareDatetime | None = None


class RunRequest(_Given):
    """How to run."""

    release: str | None = Field(None, description="Ask this release instead: makes a version.")
    source: str | None = Field(None, alias="from", description="Which release to replace, if the text names several.")


class WaitDocument(_Told):
    """Where a run stands in line."""

    position: int = Field(description="1 for the next.")
    seconds: float = Field(description="Expected time until it begins.")


class RunDocument(_Told):
    """One run of a version; figures are left out for who may not read what it read."""

    id: str
    version: int
    phase: str
    asked_by: str
    client: str
    asked_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    in_line: WaitDocument | None = Field(None, description="While it is QUEUED.")
    job: str | None = Field(None, description="Id of the job, for who ran it.")
    execution: str | None = Field(None, description="Id of the execution, for who ran it.")
    row_count: int | None = None
    overflow: bool | None = None
    error: str | None = None


class ResultDocument(_Told):
    """Whether there are rows for the reader, and why not."""

    available: bool
    reason: str | None = Field(None, description="Why there are none, or why they are those of `former_run`.")
    address: str | None = None
    size_bytes: int | None = None


class ShareDocument(_Told):
    """With whom a query is shared; `token` and `address` are told once, when a link is made."""

    id: str
    audience: Audience
    who: str | None = None
    may_edit: bool = False
    expires_at: datetime | None = None
    created_at: datetime
    token: str | None = None
    address: str | None = None


class VersionDocument(_Told):
    """One version, whole."""

    schema_version: str = SCHEMA_VERSION
    number: int
    author: str
    created_at: datetime
    based_on: int = Field(description="Version that its author had before them; 0 for none.")
    note: str = ""
    name: str
    notes: str
    tags: list[str]
    adql: str
    form: dict[str, Any] | None = None
    max_rows: int | None = None
    uploads: list[UploadDocument] = []
    view: dict[str, Any] | None = None
    run: RunDocument | None = Field(None, description="The last run.")
    former_run: RunDocument | None = Field(
        None, description="The run whose rows are the result, if the last run ended without rows."
    )
    result: ResultDocument
    citation: str = Field(description="Id of this version, to be cited; `address` resolves it.")
    address: str


class QueryDocument(_Told):
    """A query with its newest version."""

    schema_version: str = SCHEMA_VERSION
    id: str
    owner: str
    access: Literal["owner", "editor", "reader"]
    state: str = Field(description="DRAFT, or the phase of the newest version's run.")
    releases: list[str]
    parent: str | None = Field(None, description="Citation id of the version that it was forked from.")
    created_at: datetime
    changed_at: datetime
    current: VersionDocument
    shares: list[ShareDocument] | None = Field(None, description="For its owner.")
    links: dict[str, str] = Field(description="Addresses: this document, versions, result, the Portal, the Lab.")


class SummaryDocument(_Told):
    """A query as a list tells it."""

    id: str
    owner: str
    name: str
    adql: str = Field(description="The beginning of the text, 2,000 characters at most.")
    tags: list[str]
    releases: list[str]
    state: str
    version: int
    row_count: int | None = Field(None, description="Of queries of one's own.")
    created_at: datetime
    changed_at: datetime


class RunningDocument(_Told):
    """A job that has not ended, of any client; `POST /api/tap/async/<job>/phase` with PHASE=ABORT stops it."""

    job: str
    phase: str
    client: str
    adql: str
    created_at: datetime
    started_at: datetime | None
    query: str | None = Field(description="The saved query that it is a run of.")
    in_line: WaitDocument | None = Field(None, description="While it is QUEUED.")


def query_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a query document, the view state within."""
    schema = QueryDocument.model_json_schema()
    view = ViewState.model_json_schema()
    definitions = schema["$defs"] | view.pop("$defs") | {_VIEW: view}
    definitions["VersionDocument"]["properties"]["view"] = {
        "anyOf": [{"$ref": f"#/$defs/{_VIEW}"}, {"type": "null"}],
        "default": None,
    }
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "version": SCHEMA_VERSION}
    return about | schema | {"$defs": dict(sorted(definitions.items()))}
