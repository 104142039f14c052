"""Whatever order starts, stops, crashes, lost pods and observations come in: no overcommit, and nothing leaks."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, delete

from pachon.allocation.models import Claim, LivePod
from pachon.allocation.service import AllocationService
from pachon.allocation.sql_storage import OBSERVED, RESERVATIONS, SqlLedgerStore
from pachon.core.errors import QuotaError, UnavailableError
from pachon.core.resources import NOTHING, Resources
from pachon.state.database import writing
from support.ledgers import LIMITS, Clock, ClusterDouble, claim, live

CLAIMS = st.builds(
    claim,
    st.sampled_from(["al", "alice", "novice", "bob"]),
    st.sampled_from(["", "big"]),
    cpu=st.sampled_from([0.5, 1, 2, 3, 4]),
    gib=st.sampled_from([1, 4, 13]),
    pool=st.sampled_from(["", "deep-team"]),
)


class Starts(RuleBasedStateMachine):
    """A hub that starts and stops labs and may die at any step, beside a cluster that loses pods."""

    def __init__(self, database: Engine) -> None:
        super().__init__()
        self.database, self.clock, self.cluster = database, Clock(), ClusterDouble()
        self.service = AllocationService(SqlLedgerStore(database, now=self.clock), self.cluster, LIMITS, now=self.clock)
        self.uids = map(str, itertools.count())
        self.is_counted = True
        self._forget_all()
        self.look()

    def _forget_all(self) -> None:
        with writing(self.database) as connection:
            connection.execute(delete(RESERVATIONS))
            connection.execute(delete(OBSERVED))

    def _create(self, wanted: Claim, reservation_id: str) -> LivePod:
        """As KubeSpawner does: a pod that has the name is ended first."""
        pod = live(wanted, next(self.uids), reservation_id)
        self.cluster.pods[wanted.pod] = pod
        return pod

    @rule(
        wanted=CLAIMS,
        dies=st.sampled_from(["never", "before create", "before confirm"]),
        pause_s=st.sampled_from([0, 0, 130]),
    )
    def start(self, wanted: Claim, dies: str, pause_s: int) -> None:
        try:
            made = self.service.reserve(wanted)
        except (QuotaError, UnavailableError):
            return
        if pause_s:
            self.clock.forward(pause_s)
            self.look()
        if dies == "before create":
            return
        if pause_s or dies == "never":
            pod = self._create(wanted, made.id)
            try:
                self.service.confirm(made.id, wanted, pod.uid)
            except (QuotaError, UnavailableError):
                self.stop(wanted, is_seen=True)
            return
        self._create(wanted, made.id)

    @rule(wanted=CLAIMS)
    def fail_to_create(self, wanted: Claim) -> None:
        try:
            made = self.service.reserve(wanted)
        except (QuotaError, UnavailableError):
            return
        if wanted.pod not in self.cluster.pods:
            self.service.cancel(made.id)

    @rule(wanted=CLAIMS, is_seen=st.booleans())
    def stop(self, wanted: Claim, *, is_seen: bool) -> None:
        pod = self.cluster.pods.pop(wanted.pod, None)
        if pod is not None and is_seen:
            self.service.release(pod.pod, pod.uid)

    @rule()
    def look(self) -> None:
        asyncio.run(self.service.look())
        self.is_counted = True

    @rule()
    def wait(self) -> None:
        self.clock.forward(40)

    @rule(wanted=CLAIMS)
    def lose_the_database(self, wanted: Claim) -> None:
        self._forget_all()
        self.is_counted = False
        try:
            self.service.reserve(wanted)
        except UnavailableError:
            return
        raise AssertionError("admitted before anything was counted")

    @invariant()
    def nothing_is_overcommitted(self) -> None:
        pods = [each.size for each in self.cluster.pods.values() if each.size is not None]
        assert within(pods, 10_000, 40)
        for owner in {each.owner for each in self.cluster.pods.values()}:
            assert within([each.size for each in self.cluster.pods.values() if each.owner == owner], 4_000, 16)
        pool = [each.size for each in self.cluster.pods.values() if each.pool]
        assert within(pool, 6_000, 1_000)

    @invariant()
    def every_pod_is_counted(self) -> None:
        if self.is_counted:
            owners = SqlLedgerStore(self.database).owners()
            for owner in {each.owner for each in self.cluster.pods.values()}:
                runs = summed([each.size for each in self.cluster.pods.values() if each.owner == owner])
                assert owners[owner].larger(runs) == owners[owner]

    def teardown(self) -> None:
        self.clock.forward(200)
        self.look()
        kept = SqlLedgerStore(self.database).snapshot().values()
        assert sorted(map(str, kept)) == sorted(each.uid for each in self.cluster.pods.values())
        owners = SqlLedgerStore(self.database).owners()
        assert summed(list(owners.values())) == summed([each.size for each in self.cluster.pods.values()])


def summed(sizes: list[Any]) -> Resources:
    return sum(sizes, start=NOTHING)


def within(sizes: list[Any], cpu_millicores: int, gib: int) -> bool:
    total = summed(sizes)
    return total.cpu_millicores <= cpu_millicores and total.memory_bytes <= gib * 1024**3


def test_no_order_of_starts_crashes_and_losses_overcommits_or_leaks(database: Engine) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Starts(database),
        settings=settings(
            max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
