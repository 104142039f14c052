"""The only place that picks stores and engines: settings in, services out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import Engine as Database

from pachon.app.settings import Settings
from pachon.identity.hub import HubPrincipals
from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.engines.engine import Engine
from pachon.queries.engines.worker import WorkerConfig
from pachon.queries.jobs.models import JobLimits
from pachon.queries.jobs.runner import JobRunner
from pachon.queries.jobs.service import JobService
from pachon.queries.jobs.spool import Spool
from pachon.queries.jobs.sql_storage import SqlJobStore
from pachon.queries.models import QueryLimits
from pachon.queries.service import QueryService
from pachon.queries.sql_storage import SqlExecutionStore
from pachon.queries.storage import ExecutionStore
from pachon.queries.tiles import TileService
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.service import ReleaseService
from pachon.rights.policy import RightsPolicy
from pachon.scs.models import ConeLimits
from pachon.scs.service import ConeSearchService
from pachon.state.database import migrate, open_database
from pachon.state.feed import Feed
from pachon.state.outbox import Outbox
from pachon.tap.jobs import TapJobs
from pachon.tap.schema import TapSchema
from pachon.tap.service import TapService
from pachon.tap.waiting import Waiters

_OTHER_PARAMETERS_CHARS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the Web APIs answer with. Made by `build`, closed by `aclose`."""

    settings: Settings
    principals: HubPrincipals
    releases: ReleaseService
    queries: QueryService
    executions: ExecutionStore
    tap: TapService
    jobs: TapJobs
    runner: JobRunner
    waiters: Waiters
    scs: ConeSearchService
    tiles: TileService
    events: Feed
    engine: Engine
    outbox: Outbox
    database: Database

    async def aclose(self) -> None:
        """End jobs and workers and close all connections."""
        await asyncio.to_thread(self.runner.close)
        await self.principals.aclose()
        self.engine.close()
        self.database.dispose()


def build(settings: Settings) -> Services:
    """The services of an installation; workers start at once, connections are made when first used.

    Raises
    ------
    SetupError
        If the database cannot be opened.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings.database_url)
    database = open_database(settings.database_url)
    outbox = Outbox(database)
    rights = settings.rights
    policy = RightsPolicy(rights.holder_groups, rights.years_until_public, rights.open_to_all)
    store = FolderReleaseStore(settings.releases_path)
    releases = ReleaseService(store, policy)
    executions = SqlExecutionStore(database)
    engine = _engine(settings)
    limits = _query_limits(settings)
    queries = QueryService(releases, engine, executions, limits, extra_tables=TapSchema(releases))
    cone_limits = ConeLimits(max_radius_deg=settings.scs.max_radius_deg, max_rows=settings.scs.max_rows)
    job_limits = _job_limits(settings)
    tap = TapService(queries, releases, limits, job_limits, base_url=f"{settings.base_url}/api/tap")
    jobs, spool, feed = SqlJobStore(database), Spool(settings.jobs_path), Feed(outbox)
    runner = JobRunner(jobs, spool, tap.ask_for, job_limits)
    runner.start()
    service = JobService(jobs, spool, releases, job_limits, wake=runner.wake)
    return Services(
        settings=settings,
        principals=_principals(settings),
        releases=releases,
        queries=queries,
        executions=executions,
        tap=tap,
        jobs=TapJobs(service, limits, list_address=f"{settings.base_url}/api/tap/async"),
        runner=runner,
        waiters=Waiters(feed, outbox),
        scs=ConeSearchService(queries, releases, cone_limits),
        tiles=TileService(releases, lambda snapshot: store.catalogue(snapshot.table.qualified_name)),
        events=feed,
        engine=engine,
        outbox=outbox,
        database=database,
    )


def _engine(settings: Settings) -> DuckDBEngine:
    limits = settings.queries
    spill = settings.home.resolve() / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    config = WorkerConfig(
        folders=(str(settings.releases_path.resolve()),),
        temp_folder=str(spill),
        threads=limits.threads_per_worker,
        memory_bytes=limits.memory_per_worker_bytes,
        temp_bytes=limits.temp_disk_per_worker_bytes,
    )
    engine = DuckDBEngine(config, workers=limits.workers, queue_timeout_s=limits.queue_timeout_s)
    engine.start()
    return engine


def _query_limits(settings: Settings) -> QueryLimits:
    limits = settings.queries
    return QueryLimits(
        default_rows=limits.default_rows,
        max_rows=limits.max_rows,
        sync_timeout_s=limits.sync_timeout_s,
        keep_executions_days=limits.keep_executions_days,
        max_query_chars=limits.max_query_chars,
    )


def _job_limits(settings: Settings) -> JobLimits:
    limits = settings.jobs.model_dump(exclude={"path"})
    return JobLimits(**limits, max_parameter_chars=settings.queries.max_query_chars + _OTHER_PARAMETERS_CHARS)


def _principals(settings: Settings) -> HubPrincipals:
    identity = settings.identity
    return HubPrincipals(
        settings.hub_api_url, api_token=identity.api_token, cache_s=identity.cache_s, timeout_s=identity.timeout_s
    )
