"""Claims, pods and a cluster that tests fill by hand."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pachon.allocation.models import AllocationLimits, Books, Cap, Claim, LivePod, Observation, PodName
from pachon.allocation.service import AllocationService
from pachon.allocation.sql_storage import SqlLedgerStore
from pachon.core.errors import QuotaError
from pachon.core.resources import Resources
from pachon.state.database import open_database

NAMESPACE = "pachon-labs"
HUB = "token-of-labs"
"""Of the hub's service `labs`."""
GIBIBYTE = 1024**3
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
CAPACITY = Resources(100_000, 400 * GIBIBYTE)
LIMITS = AllocationLimits(
    share=0.1,
    per_user=Cap(4_000, 16 * GIBIBYTE),
    pools={"deep-team": Cap(6_000, None)},
    reservation=timedelta(seconds=120),
    stale=timedelta(seconds=60),
)


def size(cpu: float = 1, gib: float = 4) -> Resources:
    return Resources.of(cpu, int(gib * GIBIBYTE))


def claim(owner: str = "novice", server: str = "", *, cpu: float = 1, gib: float = 4, pool: str = "") -> Claim:
    name = PodName(NAMESPACE, f"jupyter-{owner}--{server}" if server else f"jupyter-{owner}")
    return Claim(pod=name, owner=owner, server=server, pool=pool, size=size(cpu, gib))


def live(one: Claim, uid: str, reservation: str = "") -> LivePod:
    return LivePod(
        pod=one.pod, uid=uid, owner=one.owner, server=one.server, pool=one.pool, size=one.size, reservation=reservation
    )


def anything(_claim: Claim, _books: Books) -> None:
    """Admits whatever comes."""


@dataclass
class Clock:
    """A clock that tests turn forward."""

    moment: datetime = NOON

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class ClusterDouble:
    """What is there, by hand. Names are unique among pods, as in Kubernetes."""

    capacity: Resources = CAPACITY
    pods: dict[PodName, LivePod] = field(default_factory=dict)

    async def observe(self) -> Observation:
        return Observation(tuple(self.pods.values()), self.capacity)

    async def aclose(self) -> None:
        self.pods.clear()


def _admitted(service: AllocationService, number: int) -> bool:
    try:
        service.reserve(claim(f"person-{number}"))
    except QuotaError:
        return False
    return True


def reserve_all(url: str, numbers: Sequence[int], *, at_once: int = 10) -> int:
    """How many of these people were admitted."""
    database = open_database(url)
    service = AllocationService(SqlLedgerStore(database), ClusterDouble(), LIMITS, now=lambda: NOON)
    with ThreadPoolExecutor(at_once) as threads:
        admitted = sum(threads.map(lambda number: _admitted(service, number), numbers))
    database.dispose()
    return admitted
