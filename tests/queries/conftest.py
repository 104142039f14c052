"""One small sky, its rows, and the service that answers questions about it in real worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.skies import make_release

from pachon.core.errors import ConflictError
from pachon.identity.models import ANONYMOUS, Principal
from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.engines.worker import WorkerConfig
from pachon.queries.models import Execution, QueryLimits
from pachon.queries.plan import MemorySnapshot
from pachon.queries.service import QueryService
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.service import ReleaseService
from pachon.rights.models import Audience
from pachon.rights.policy import RightsPolicy

HOLDERS = "rights-holders"


@dataclass
class Executions:
    """Remembers what it is given."""

    kept: list[Execution] = field(default_factory=list)
    broken: bool = False

    def add(self, execution: Execution) -> None:
        if self.broken:
            raise ConflictError("kept already")
        self.kept.append(execution)


@dataclass
class Sky:
    """Releases `sky` (open to all) and `secret` (for holders), and ways to ask them."""

    root: Path
    rows: pa.Table
    releases: ReleaseService
    engine: DuckDBEngine
    executions: Executions

    def service(self, **changes: object) -> QueryService:
        arguments = {"limits": QueryLimits(), **changes}
        return QueryService(self.releases, self.engine, self.executions, **arguments)

    def ask(self, adql: str, *, principal: Principal = ANONYMOUS, max_rows: int | None = None, **changes) -> pa.Table:
        answer = self.service(**changes).ask(principal, adql, max_rows=max_rows)
        try:
            batches = list(answer.batches)
        finally:
            answer.close()
        from pachon.core.fields import arrow_schema  # noqa: PLC0415 -- beside its only use

        return pa.Table.from_batches(batches, schema=arrow_schema(answer.fields))

    def column(self, name: str) -> np.ndarray:
        return self.rows[name].to_numpy(zero_copy_only=False)


@pytest.fixture(scope="session")
def sky_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="session")
def new_engine(sky_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., DuckDBEngine]]:
    """Makes engines of its own for tests that break or starve one."""
    made: list[DuckDBEngine] = []

    def make(*, workers: int = 1, queue_timeout_s: float = 20, folder: Path = sky_root, **config) -> DuckDBEngine:
        temp = tmp_path_factory.mktemp("spill")
        setup = WorkerConfig(folders=(str(folder),), temp_folder=str(temp), **config)
        made.append(DuckDBEngine(setup, workers=workers, queue_timeout_s=queue_timeout_s))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="session")
def sky(sky_root: Path, new_engine: Callable[..., DuckDBEngine]) -> Sky:
    rows = make_release(sky_root, release_id="sky", rows=12_000)
    make_release(sky_root, release_id="secret", rows=100, audience=Audience.HOLDERS, release_date=date(2999, 1, 1))
    releases = ReleaseService(FolderReleaseStore(sky_root), RightsPolicy(frozenset({HOLDERS})))
    return Sky(sky_root, rows, releases, new_engine(workers=2), Executions())
