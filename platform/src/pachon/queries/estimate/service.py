"""Estimates queries before they are run, for one person at a time, and sorts plans into classes of work."""

from __future__ import annotations

import logging
import math
from typing import Protocol

from pachon.core.errors import LimitError, PachonError
from pachon.identity.models import Principal
from pachon.queries.admission import Asker
from pachon.queries.estimate.models import Confidence, Estimate, Load, Outlook, TimeClass
from pachon.queries.estimate.quick import quick_load
from pachon.queries.estimate.statistics import StatisticsStore
from pachon.queries.estimate.walk import Walk, Work
from pachon.queries.models import QueryLimits
from pachon.queries.plan import Plan

_LOG = logging.getLogger(__name__)
SHORT_S = 1.0
SCAN_S = 30.0
_MANY_PAIRS = 1e9
_GOOD_SPREAD = 2.0


class Planner(Protocol):
    """Binds queries as they would be run; `QueryService` keeps it."""

    def plan(self, principal: Principal, adql: str, *, max_rows: int | None = None) -> Plan:
        """The plan of a query, or the error that would refuse it."""
        ...


class Admission(Protocol):
    """Says what would happen to a query now; `queries.dispatch.Dispatcher` does."""

    def outlook(self, asker: Asker, estimate: Estimate) -> Outlook:
        """Whether it would run, wait, or has to be a job."""
        ...


class EstimateService:
    """Tells what a query will read, return and take.

    Parameters
    ----------
    queries
        Binds queries with the rights of who asks.
    estimator
        Knows plans.
    limits
        Limits of one query.
    admission
        Says what would happen to a query now.
    """

    def __init__(self, queries: Planner, estimator: Estimator, limits: QueryLimits, admission: Admission) -> None:
        self.limits = limits
        self._queries = queries
        self._estimator = estimator
        self._admission = admission

    def estimate(
        self, principal: Principal, adql: str, *, max_rows: int | None = None, address: str = ""
    ) -> tuple[Estimate, Outlook]:
        """What a query of this person would do.

        Parameters
        ----------
        address
            Where they ask from: anonymous visitors are told apart by it.

        Raises
        ------
        QuerySyntaxError, LimitError, UsageError, ForbiddenError
            As the query itself would.
        """
        found = self._estimator.estimate_plan(self._queries.plan(principal, adql, max_rows=max_rows))
        return found, self._admission.outlook(Asker.of(principal, address), found)


class Estimator:
    """Knows what plans will do; keeps the promise of `models.PlanClassifier`.

    Parameters
    ----------
    statistics
        What is known of the stored tables.
    """

    def __init__(self, statistics: StatisticsStore) -> None:
        self._statistics = statistics

    def estimate_plan(self, plan: Plan) -> Estimate:
        """What a plan will do.

        Raises
        ------
        LimitError
            If it is nested too deeply.
        UnavailableError
            If the files of a table cannot be read.
        """
        walk = Walk(plan, self._statistics)
        try:
            flow = walk.flow()
        except RecursionError:
            raise LimitError("The query is nested too deeply.", parameter="QUERY") from None
        most = math.inf if plan.max_rows is None else float(plan.max_rows)
        low, high = flow.rows / flow.spread, flow.rows * flow.spread + (0.0 if flow.complete else flow.spread - 1.0)
        return Estimate(
            rows=round(min(flow.rows, most)),
            rows_low=math.floor(min(low, most)),
            rows_high=math.ceil(min(high, most)),
            overflow=flow.rows > most,
            rows_scanned=round(walk.work.reading.rows),
            bytes_scanned=round(walk.work.reading.size_bytes),
            seconds=walk.work.seconds,
            time_class=_class(walk.work),
            confidence=_confidence(flow.complete, flow.spread),
            tables=plan.tables,
            reasons=_reasons(walk.work),
        )

    def load(self, plan: Plan) -> Load:
        """What running a plan asks of a worker; what is surely short is not estimated first."""
        quick = quick_load(plan)
        if quick is not None:
            return quick
        try:
            return self.estimate_plan(plan).load
        except PachonError:
            raise
        except Exception:  # noqa: BLE001 -- advice that fails must not fail the query; logged
            _LOG.exception("a plan could not be estimated; it is taken for a scan")
            return Load(TimeClass.SCAN, SHORT_S, is_rough=True)


def _class(work: Work) -> TimeClass:
    if work.seconds < SHORT_S:
        return TimeClass.SHORT
    return TimeClass.SCAN if work.seconds < SCAN_S else TimeClass.HEAVY


def _confidence(complete: bool, spread: float) -> Confidence:  # noqa: FBT001 -- two findings, one word
    if complete or spread == 1.0:
        return Confidence.EXACT
    return Confidence.GOOD if spread <= _GOOD_SPREAD else Confidence.ROUGH


def _reasons(work: Work) -> tuple[str, ...]:
    pairs, left, right = work.pairs
    if pairs < _MANY_PAIRS:
        return ()
    sides = f"Each of {left:,.0f} rows is paired with each of {right:,.0f}, which are {pairs:.1e} pairs"
    return (f"{sides}: join by a key, or narrow both sides first.",)
