"""One small sky, its rows, and the service that answers questions about it in real worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.engines.pool import PoolLimits
from pachon.queries.engines.worker import WorkerConfig
from pachon.queries.estimate.models import TimeClass
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.service import ReleaseService
from pachon.rights.models import Audience
from pachon.rights.policy import RightsPolicy
from support.asking import HOLDERS, Executions, Sky
from support.skies import make_release


@pytest.fixture(scope="session")
def sky_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="session")
def new_engine(sky_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., DuckDBEngine]]:
    """Makes engines of its own for tests that break or starve one."""
    made: list[DuckDBEngine] = []

    def make(
        *,
        workers: int = 1,
        queue_timeout_s: float = 20,
        folder: Path = sky_root,
        pool: Mapping[str, Any] = MappingProxyType({}),
        **config: Any,
    ) -> DuckDBEngine:
        temp = tmp_path_factory.mktemp("spill")
        setup = WorkerConfig(folders=(str(folder),), temp_folder=str(temp), **config)
        limits = PoolLimits(config=setup, workers=workers, queue_timeout_s=queue_timeout_s, **pool)
        made.append(DuckDBEngine({TimeClass.SHORT: limits}))
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
