"""Estimators over a folder of releases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pachon.identity.models import ANONYMOUS
from pachon.queries.admission import Admission, AdmissionLimits
from pachon.queries.dispatch import Dispatcher
from pachon.queries.estimate.models import Estimate, Load, TimeClass
from pachon.queries.estimate.service import EstimateService
from pachon.queries.estimate.service import Estimator as PlanEstimator
from pachon.queries.estimate.statistics import StatisticsStore
from pachon.queries.models import QueryLimits
from pachon.queries.plan import Plan
from pachon.queries.service import QueryService
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.hats.reader import SnapshotCatalogue
from pachon.releases.service import ReleaseService
from pachon.rights.policy import RightsPolicy
from pachon.tap.schema import TapSchema
from support.asking import Executions

_LIMITS = QueryLimits(default_rows=10_000_000)


def dispatcher(limits: QueryLimits) -> Dispatcher:
    """One where nobody else is."""
    return Dispatcher({each: Admission(AdmissionLimits()) for each in TimeClass}, Admission(AdmissionLimits()), limits)


class NoEngine:
    """Binding and estimating run nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"an estimate used the engine: {name}")


@dataclass(frozen=True)
class Estimator:
    """Plans and estimates of one folder of releases, for anybody, without a limit on rows that is met."""

    queries: QueryService
    service: EstimateService
    statistics: StatisticsStore
    store: FolderReleaseStore
    releases: Path

    def plan(self, adql: str, *, max_rows: int | None = None) -> Plan:
        return self.queries.plan(ANONYMOUS, adql, max_rows=max_rows)

    def load(self, adql: str, *, max_rows: int | None = None) -> Load:
        return self.queries.load(ANONYMOUS, adql, max_rows=max_rows)

    def estimate(self, adql: str, *, max_rows: int | None = None) -> Estimate:
        return self.service.estimate(ANONYMOUS, adql, max_rows=max_rows)[0]


def estimator(releases: Path, statistics: Path, **changes: Any) -> Estimator:
    """An estimator over a folder of releases, that keeps its statistics in another."""
    store = FolderReleaseStore(releases)
    rights = ReleaseService(store, RightsPolicy(frozenset({"rights-holders"})))
    engine: Any = NoEngine()
    known = StatisticsStore(statistics, SnapshotCatalogue, **changes)
    plans = PlanEstimator(known)
    queries = QueryService(rights, engine, Executions(), _LIMITS, classifier=plans, extra_tables=TapSchema(rights))
    return Estimator(queries, EstimateService(queries, plans, _LIMITS, dispatcher(_LIMITS)), known, store, releases)
