"""The only place that picks stores and engines: settings in, services out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from anyio import CapacityLimiter
from sqlalchemy import Engine as Database

from pachon.allocation.models import AllocationLimits, Cap
from pachon.allocation.service import AllocationService, Cluster
from pachon.allocation.sql_storage import SqlLedgerStore
from pachon.app.lab_settings import CapSettings
from pachon.app.settings import Settings, WorkerClassSettings
from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import SetupError
from pachon.core.own_folder import OwnFolder
from pachon.identity.hub import HubPrincipals
from pachon.identity.models import Principal
from pachon.identity.people import HubPeople
from pachon.queries.admission import Admission, AdmissionLimits
from pachon.queries.dispatch import Dispatcher
from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.engines.engine import Engine
from pachon.queries.engines.pool import PoolLimits
from pachon.queries.engines.worker import WorkerConfig, spill_share
from pachon.queries.estimate.models import TimeClass
from pachon.queries.estimate.ranges import ValueRanges
from pachon.queries.estimate.service import EstimateService, Estimator
from pachon.queries.estimate.statistics import StatisticsStore
from pachon.queries.jobs.models import JobLimits
from pachon.queries.jobs.runner import JobRunner
from pachon.queries.jobs.service import JobService
from pachon.queries.jobs.spool import Spool
from pachon.queries.jobs.sql_storage import SqlJobStore
from pachon.queries.listening import Listeners
from pachon.queries.models import QueryLimits
from pachon.queries.saved.kept_results import KeptResults
from pachon.queries.saved.models import SavedLimits
from pachon.queries.saved.reading import ResultService
from pachon.queries.saved.rerunning import OtherRelease
from pachon.queries.saved.running import Jobs, RunService
from pachon.queries.saved.selecting import AdqlSelector
from pachon.queries.saved.service import SavedQueryService
from pachon.queries.saved.sql_runs import SqlQueryRunStore
from pachon.queries.saved.sql_storage import SqlSavedQueryStore
from pachon.queries.saved.telling import Saved
from pachon.queries.service import QueryService
from pachon.queries.sql_storage import SqlExecutionStore
from pachon.queries.storage import ExecutionStore
from pachon.queries.tiles import TileService
from pachon.queries.uploads.models import ReceivingLimits, UploadLimits
from pachon.queries.uploads.staging import Stager
from pachon.queries.uploads.storage import UploadFolder
from pachon.releases.downloads import DownloadLimits, Downloads
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.hats.reader import SnapshotCatalogue
from pachon.releases.registry import Registry
from pachon.releases.service import ReleaseService
from pachon.scs.models import ConeLimits
from pachon.scs.service import ConeSearchService
from pachon.state.database import migrate, open_database
from pachon.state.feed import Feed
from pachon.state.outbox import Outbox
from pachon.tap.jobs import TapJobs
from pachon.tap.schema import TapSchema, own_tables
from pachon.tap.service import TapService
from pachon.tap.uploads import Uploads
from pachon.tap.waiting import Waiters

_OTHER_PARAMETERS_CHARS = 10_000
_TILES_WAITING = 1_000
_TILES_WAITING_PER_PERSON = 100
_TILE_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the Web APIs answer with. Made by `build`, closed by `aclose`."""

    settings: Settings
    principals: HubPrincipals
    releases: ReleaseService
    downloads: Downloads
    registry: Registry
    queries: QueryService
    dispatcher: Dispatcher
    executions: ExecutionStore
    estimates: EstimateService
    statistics: StatisticsStore
    ranges: ValueRanges
    store: FolderReleaseStore
    tap: TapService
    jobs: TapJobs
    runner: JobRunner
    saved: Saved
    waiters: Waiters
    scs: ConeSearchService
    allocation: AllocationService
    tiles: TileService
    tile_threads: CapacityLimiter
    tile_admission: Admission
    events: Feed
    listeners: Listeners
    engine: Engine
    spill: OwnFolder
    outbox: Outbox
    database: Database

    async def aclose(self) -> None:
        """End jobs and workers and close all connections."""
        await asyncio.to_thread(self.runner.close)
        await self.principals.aclose()
        await self.allocation.aclose()
        self.engine.close()
        await asyncio.to_thread(self.spill.close)
        await asyncio.to_thread(self.tap.uploads.close)
        self.database.dispose()


def build(settings: Settings, *, now: Clock = clock.now) -> Services:
    """The services of an installation; workers start at once, connections are made when first used.

    Parameters
    ----------
    now
        The clock by which rights are decided and runs are dated.

    Raises
    ------
    SetupError
        If the database cannot be opened.
    """
    database = _database(settings)
    outbox = Outbox(database)
    store = FolderReleaseStore(settings.releases_path, settings.mass_path)
    releases = ReleaseService(store, settings.rights.policy(), base_url=settings.base_url, now=now)
    executions = SqlExecutionStore(database)
    spill, ranges = OwnFolder(settings.home.resolve() / "spill"), ValueRanges()
    engine = _engine(settings, spill.path)
    limits = _query_limits(settings)
    statistics = StatisticsStore(settings.home.resolve() / "statistics", SnapshotCatalogue)
    estimator = Estimator(statistics)
    described_for = TapSchema(releases, ranges=ranges)
    queries = QueryService(
        releases, engine, executions, limits, classifier=estimator, extra_tables=described_for, now=now
    )
    cone_limits = ConeLimits(max_radius_deg=settings.scs.max_radius_deg, max_rows=settings.scs.max_rows)
    job_limits = _job_limits(settings)
    dispatcher, places = _dispatcher(settings, limits), _job_places(settings)
    uploads = _uploads(settings)
    tap = TapService(queries, releases, limits, job_limits, uploads=uploads, base_url=f"{settings.base_url}/api/tap")
    jobs, spool, feed = SqlJobStore(database), Spool(settings.jobs_path), Feed(outbox)
    runner = JobRunner(jobs, spool, tap.ask_for, job_limits, places=places, occupy=dispatcher.occupy_for)
    runner.start()
    service = JobService(
        jobs, spool, releases, job_limits, described=_described(), load_of=tap.load_of, places=places, wake=runner.wake
    )
    selector = AdqlSelector(engine, uploads.new_set, timeout_s=settings.queries.sync_timeout_s)
    all_jobs = Jobs(service, jobs, spool)
    saved = _saved(settings, database, all_jobs, selector, queries=queries, releases=releases, now=now)
    return Services(
        settings=settings,
        principals=_principals(settings),
        releases=releases,
        downloads=Downloads(DownloadLimits(**settings.downloads.model_dump())),
        registry=Registry(settings.releases_path, settings.mass_path),
        queries=queries,
        dispatcher=dispatcher,
        executions=executions,
        estimates=EstimateService(queries, estimator, limits, dispatcher),
        statistics=statistics,
        ranges=ranges,
        store=store,
        tap=tap,
        jobs=TapJobs(service, limits, uploads=uploads, list_address=_jobs_address(settings)),
        runner=runner,
        saved=saved,
        waiters=Waiters(feed, outbox),
        scs=ConeSearchService(queries, releases, cone_limits, services=tap.services),
        allocation=_allocation(settings, database, now=now),
        tiles=TileService(releases, SnapshotCatalogue),
        tile_threads=CapacityLimiter(settings.queries.tiles_at_once),
        tile_admission=Admission(_tile_limits(settings.queries.tiles_at_once)),
        events=feed,
        listeners=Listeners(settings.queries.event_streams_per_person),
        engine=engine,
        spill=spill,
        outbox=outbox,
        database=database,
    )


def _database(settings: Settings) -> Database:
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings.database_url)
    return open_database(settings.database_url)


def _allocation(settings: Settings, database: Database, *, now: Clock) -> AllocationService:
    given = settings.allocation
    limits = AllocationLimits(
        share=given.share,
        per_user=_cap(given.per_user),
        pools={name: _cap(cap) for name, cap in given.pools.items()},
        reservation=timedelta(seconds=given.reservation_s),
        stale=timedelta(seconds=given.stale_s),
    )
    return AllocationService(SqlLedgerStore(database, now=now), _cluster(settings), limits, now=now)


def _cap(given: CapSettings) -> Cap:
    return Cap.of(given.cpu, given.memory_bytes)


def _cluster(settings: Settings) -> Cluster | None:
    """Where labs run, if they are pods; its client takes seconds to import."""
    if settings.labs.spawner != "kubernetes":
        return None
    try:
        from pachon.allocation.cluster import Facility, KubernetesCluster  # noqa: PLC0415 -- an extra of its own
    except ModuleNotFoundError as error:
        raise SetupError(
            f"labs.spawner is 'kubernetes' and {error.name} is not installed: install the extra 'kubernetes' of pachon."
        ) from error
    declared = settings.allocation.capacity
    return KubernetesCluster(
        Facility(
            namespace=settings.labs.namespace,
            cpu=declared.cpu,
            memory_bytes=declared.memory_bytes,
            node_selector=settings.allocation.node_selector,
        )
    )


def _described() -> frozenset[str]:
    """Tables that belong to no release."""
    return frozenset(table.qualified_name for table in own_tables())


def _saved(
    settings: Settings,
    database: Database,
    jobs: Jobs,
    selector: AdqlSelector,
    *,
    queries: QueryService,
    releases: ReleaseService,
    now: Clock,
) -> Saved:
    limits = SavedLimits(**settings.saved.model_dump(exclude={"path"}), max_adql_chars=settings.queries.max_query_chars)
    store, results = SqlSavedQueryStore(database), KeptResults(settings.saved_path)
    service, executions = (
        SavedQueryService(store, limits, others=_others(settings), now=now),
        SqlExecutionStore(database),
    )

    def check(principal: Principal, adql: str, max_rows: int | None) -> object:
        return queries.plan(principal, adql, max_rows=max_rows)

    runs = RunService(
        store, SqlQueryRunStore(database), results, jobs, executions=executions, limits=limits, check=check, now=now
    )
    return Saved(
        queries=service,
        runs=runs,
        results=ResultService(results, releases, selector, described=_described()),
        other_release=OtherRelease(service, releases),
        base_url=settings.base_url,
    )


def _engine(settings: Settings, spill: Path) -> DuckDBEngine:
    limits = settings.queries
    classes = _classes(settings)
    wanted = {each: own.workers * own.temp_disk_bytes for each, own in classes.items()}
    share = spill_share(spill, wanted_bytes=sum(wanted.values()), reserve_bytes=limits.disk_reserve_bytes)
    pools = {each: _pool(settings, own, spill, share=share) for each, own in classes.items()}
    engine = DuckDBEngine(pools)
    engine.start()
    return engine


def _classes(settings: Settings) -> dict[TimeClass, WorkerClassSettings]:
    queries = settings.queries
    return {TimeClass.SHORT: queries.short, TimeClass.SCAN: queries.scan, TimeClass.HEAVY: queries.heavy}


def _pool(settings: Settings, own: WorkerClassSettings, spill: Path, *, share: float) -> PoolLimits:
    config = WorkerConfig(
        folders=(str(settings.releases_path.resolve()), str(settings.uploads_path.resolve())),
        temp_folder=str(spill),
        threads=own.threads,
        memory_bytes=own.memory_bytes,
        temp_bytes=int(own.temp_disk_bytes * share),
        niceness=own.niceness,
    )
    is_largest = own is settings.queries.heavy
    return PoolLimits(
        config=config,
        workers=own.workers,
        queue_timeout_s=own.queue_timeout_s,
        time_limit_s=None if is_largest else own.time_limit_s,
        idle_s=own.idle_s,
    )


def _dispatcher(settings: Settings, limits: QueryLimits) -> Dispatcher:
    queries = settings.queries
    at_once = queries.binding_at_once
    binding = AdmissionLimits(
        running=at_once, running_per_person=at_once, running_anonymous=at_once, waiting=queries.waiting * len(TimeClass)
    )
    classes = {each: Admission(_admission_limits(settings, own)) for each, own in _classes(settings).items()}
    return Dispatcher(classes, Admission(binding), limits)


def _job_places(settings: Settings) -> dict[TimeClass, int]:
    most = settings.jobs.running_per_process
    return {each: min(most, own.workers) for each, own in _classes(settings).items()}


def _uploads(settings: Settings) -> Uploads:
    given = settings.uploads.model_dump(exclude={"path", "receiving"})
    limits = UploadLimits(**given, reserve_bytes=settings.queries.disk_reserve_bytes)
    return Uploads(
        UploadFolder(settings.uploads_path.resolve(), limits),
        Stager(limits),
        limits,
        ReceivingLimits(**settings.uploads.receiving.model_dump()),
        jobs_address=_jobs_address(settings),
    )


def _query_limits(settings: Settings) -> QueryLimits:
    limits = settings.queries
    return QueryLimits(
        default_rows=limits.default_rows,
        max_rows=limits.max_rows,
        sync_timeout_s=limits.sync_timeout_s,
        keep_executions_days=limits.keep_executions_days,
        max_query_chars=limits.max_query_chars,
        jobs_address=_jobs_address(settings),
        job_max_duration_s=settings.jobs.max_duration_s,
    )


def _admission_limits(settings: Settings, own: WorkerClassSettings) -> AdmissionLimits:
    return AdmissionLimits(
        running=own.workers,
        running_per_person=own.running_per_person,
        running_anonymous=own.running_anonymous,
        waiting=settings.queries.waiting,
        waiting_per_person=settings.queries.waiting_per_person,
        timeout_s=own.queue_timeout_s,
        advice=f", or ask it as a job at {_jobs_address(settings)}, where it keeps its place in line",
    )


def _jobs_address(settings: Settings) -> str:
    return f"{settings.base_url}/api/tap/async"


def _job_limits(settings: Settings) -> JobLimits:
    limits = settings.jobs.model_dump(exclude={"path", "running_per_process"})
    return JobLimits(**limits, max_parameter_chars=settings.queries.max_query_chars + _OTHER_PARAMETERS_CHARS)


def _tile_limits(at_once: int) -> AdmissionLimits:
    """Of tiles, which take little time, nothing is left free for others: to go round those who ask is fair enough."""
    return AdmissionLimits(
        running=at_once,
        running_per_person=at_once,
        running_anonymous=at_once,
        left_to_others=0,
        waiting=_TILES_WAITING,
        waiting_per_person=_TILES_WAITING_PER_PERSON,
        timeout_s=_TILE_WAIT_S,
        kind="density tile",
        kinds="density tiles",
    )


def _others(settings: Settings) -> Callable[[str], frozenset[str] | None]:
    identity = settings.identity
    return HubPeople(settings.hub_api_url, api_token=identity.api_token, timeout_s=identity.timeout_s).others


def _principals(settings: Settings) -> HubPrincipals:
    identity = settings.identity
    return HubPrincipals(
        settings.hub_api_url, api_token=identity.api_token, cache_s=identity.cache_s, timeout_s=identity.timeout_s
    )
