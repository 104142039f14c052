"""TAP 1.1: asks in ADQL, and tells what can be asked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pachon.queries.engines.engine import OutgrownError
from pachon.queries.models import Protocol
from pachon.queries.service import Uploads as Tables
from pachon.rights.models import Access
from pachon.tap import descriptors, schema
from pachon.tap.examples import Example, examples
from pachon.tap.features import FEATURES
from pachon.tap.jobs import request_of
from pachon.vo.formats import FORMATS
from pachon.vo.vosi import Reference, SchemaDescription, TableColumn, TableDescription, TapAbilities

if TYPE_CHECKING:
    from pachon.core.fields import Field
    from pachon.identity.models import Principal
    from pachon.queries.estimate.models import Load
    from pachon.queries.jobs.models import Job, JobLimits
    from pachon.queries.jobs.runner import FilesOfJob
    from pachon.queries.models import Answer, QueryLimits
    from pachon.queries.service import Prepared, QueryService
    from pachon.queries.uploads.answer import UploadAnswer
    from pachon.releases.models import Table
    from pachon.releases.service import ReleaseService
    from pachon.tap.models import LightCurveRequest, TapRequest
    from pachon.tap.uploads import Uploads
    from pachon.vo.models import ServiceDescriptor

_DAY_S = 86_400
_NONE: Tables = {}


class TapService:
    """Runs queries and describes the tables a person may ask.

    Parameters
    ----------
    uploads
        Tables that come with requests.
    base_url
        Public address of the service, without a trailing slash.
    """

    def __init__(
        self,
        queries: QueryService,
        releases: ReleaseService,
        limits: QueryLimits,
        job_limits: JobLimits,
        *,
        uploads: Uploads,
        base_url: str,
    ) -> None:
        self.uploads = uploads
        self._queries = queries
        self._releases = releases
        self.limits = limits
        self._job_limits = job_limits
        self._base_url = base_url

    def abilities(self) -> TapAbilities:
        """What the service can do."""
        return TapAbilities(
            base_url=self._base_url,
            features=FEATURES,
            formats=FORMATS,
            default_rows=min(self.limits.default_rows, self.limits.max_rows),
            max_rows=self.limits.max_rows,
            default_duration_s=self._job_limits.default_duration_s,
            max_duration_s=self._job_limits.max_duration_s,
            default_retention_s=math.ceil(self._job_limits.default_destruction_days * _DAY_S),
            max_retention_s=math.ceil(self._job_limits.max_destruction_days * _DAY_S),
            max_upload_rows=self.uploads.limits.max_rows,
            max_upload_bytes=self.uploads.limits.max_bytes,
        )

    def examples(self, principal: Principal) -> tuple[Example, ...]:
        """Queries that this person can run as they stand."""
        return examples(self._releases.tables(principal, Access.QUERY))

    def prepare(self, principal: Principal, request: TapRequest, tables: Tables, *, client: str = "") -> Prepared:
        """Bind a query, ready for its turn.

        Parameters
        ----------
        tables
            Those that came with it.
        client
            The program that asks.

        Raises
        ------
        UsageError
            If the query is wrong, with the place, or larger than synchronous ones may be.
        """
        return self._queries.prepare(
            principal,
            request.adql,
            max_rows=request.max_rows,
            protocol=Protocol.TAP_SYNC,
            uploads=tables,
            client=client,
        )

    def start(self, prepared: Prepared) -> Answer:
        """Run a query in its turn; the caller closes the answer.

        Raises
        ------
        UnavailableError
            If no worker is free in time.
        """
        return self._queries.start(prepared)

    def load_of(self, job: Job, sent_bytes: int) -> Load:
        """What the query of a job asks of a worker; of one with uploads, what converting them does.

        Parameters
        ----------
        sent_bytes
            Size of the files that were sent for it.

        Raises
        ------
        UsageError
            If the parameters or the query are wrong.
        """
        request = request_of(job, self.limits, self.uploads.limits)
        if request.uploads:
            return self.uploads.load(request.uploads, sent_bytes)
        return self._queries.load(job.principal, request.adql, max_rows=request.max_rows)

    def ask_for(self, job: Job, files: FilesOfJob) -> Answer | UploadAnswer:
        """Run the query of a job as its owner, for as long as the job may execute; the caller closes the answer.

        Parameters
        ----------
        files
            Finds the files that were sent for the job, by name of the part.

        Raises
        ------
        UsageError
            If the parameters or the query are wrong.
        WorkersBusyError
            If no worker is free in time.
        OutgrownError
            While its rows are asked for or read: it belongs to a larger class than the job is in.
        """
        request = request_of(job, self.limits, self.uploads.limits)

        def ask(tables: Tables = _NONE) -> Answer:
            prepared = self._queries.prepare(
                job.principal,
                request.adql,
                max_rows=request.max_rows,
                protocol=Protocol.TAP_ASYNC,
                uploads=tables,
                client=job.client,
            )
            if tables and prepared.load.time_class.exceeds(job.time_class):
                raise OutgrownError(prepared.load)
            return self._queries.start(prepared, timeout_s=job.duration_s, time_class=job.time_class)

        if not request.uploads:
            return ask()
        parts = [upload.part for upload in request.uploads if upload.part is not None]
        return self.uploads.answer(request.uploads, files(job, parts), ask, time_class=job.time_class)

    def prepare_light_curve(self, principal: Principal, request: LightCurveRequest) -> Prepared:
        """Bind the query of a light curve, ready for its turn.

        Raises
        ------
        NotFoundError
            If there is no such light curve for this person.
        UsageError
            If the identifier is not of the column's type.
        """
        tables = self._releases.tables(principal, Access.QUERY)
        curve = descriptors.find(tables, table=request.table, column=request.column)
        adql = curve.adql(request.identifier)
        return self._queries.prepare(principal, adql, max_rows=request.max_rows, protocol=Protocol.TAP_SYNC)

    def services(self, principal: Principal, fields: tuple[Field, ...]) -> tuple[ServiceDescriptor, ...]:
        """What this person can ask further of rows with these fields (DataLink 1.1, section 4)."""
        tables = self._releases.tables(principal, Access.QUERY)
        return descriptors.descriptors(fields, tables, address=f"{self._base_url}/light-curve")

    def describe(self, principal: Principal) -> tuple[SchemaDescription, ...]:
        """All schemas that this person may ask, TAP_SCHEMA last."""
        visible = self._releases.visible(principal, Access.QUERY)
        described = [_schema(release.id, release.title, release.description, release.tables) for release in visible]
        own = _schema(
            schema.SCHEMA, "TAP_SCHEMA", "What this service holds, in the form of TAP 1.1", schema.own_tables()
        )
        return (*described, own)

    def describe_table(self, principal: Principal, name: str) -> TableDescription:
        """One table by its qualified name, whatever the case.

        Raises
        ------
        NotFoundError
            If there is none that this person may see.
        """
        own = {table.qualified_name: table for table in schema.own_tables()}
        table = own.get(name.lower()) or self._releases.table(principal, name, Access.QUERY)
        return _table(table)


def _schema(name: str, title: str, description: str, tables: Iterable[Table]) -> SchemaDescription:
    return SchemaDescription(
        name=name, title=title, description=description, tables=tuple(_table(table) for table in tables)
    )


def _table(table: Table) -> TableDescription:
    return TableDescription(
        name=table.qualified_name,
        description=table.description,
        row_count=None if table.schema == schema.SCHEMA else table.row_count,
        columns=tuple(
            TableColumn(name=schema.query_name(column.name), field=column.field, indexed=column.indexed, std=column.std)
            for column in table.columns
        ),
        references=tuple(
            Reference(
                target_table=key.target_table,
                columns=tuple(zip(key.from_columns, key.target_columns, strict=True)),
                description=key.description,
            )
            for key in table.foreign_keys
        ),
    )
