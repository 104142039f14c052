"""Words of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pachon.core.resources import NOTHING, Resources


@dataclass(frozen=True, slots=True)
class PodName:
    """Where a pod is: at most one pod of this name exists at a time."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What somebody wants to start.

    Parameters
    ----------
    pod
        Name of the pod that is to be created.
    owner
        Hub user name.
    server
        Name of the hub's server; empty for the default one.
    pool
        The group whose pool is charged too; empty for none.
    size
        Limits of the pod, as Kubernetes counts them.
    """

    pod: PodName
    owner: str
    server: str = ""
    pool: str = ""
    size: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A place in the ledger. It counts from before its pod is created until that pod is seen to be gone.

    Parameters
    ----------
    uid
        Kubernetes' identifier of the pod; None as long as none is known to exist.
    """

    id: str
    claim: Claim
    uid: str | None = None
    reserved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePod:
    """A pod that takes resources now: pending, running, or ending.

    Parameters
    ----------
    claim
        As the pod itself tells it; its size is None where a container has no limit.
    reservation
        Id of the reservation by which it was created, as the pod tells it; empty if it tells none.
    """

    pod: PodName
    uid: str
    owner: str = ""
    server: str = ""
    pool: str = ""
    size: Resources | None
    reservation: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there: every live pod of labs, and what all user computing and other work have together."""

    pods: Sequence[LivePod]
    capacity: Resources


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on a sum; None where there is none."""

    cpu_millicores: int | None = None
    memory_bytes: int | None = None

    @classmethod
    def of(cls, cpu: float | None, memory_bytes: int | None) -> Cap:
        """From processors."""
        return cls(None if cpu is None else Resources.of(cpu, 0).cpu_millicores, memory_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationLimits:
    """The settings of the ledger.

    Parameters
    ----------
    share
        Part of the capacity that all labs together may have.
    per_user
        What the labs of one person together may have.
    pools
        What the labs that are charged to a group together may have, by group.
    reservation
        After how long a reservation whose pod nobody has seen is forgotten.
    stale
        For how long an observation is believed.
    """

    share: float
    per_user: Cap = Cap()
    pools: Mapping[str, Cap] = field(default_factory=dict)
    reservation: timedelta = timedelta(seconds=120)
    stale: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The ledger as a claim meets it: sums of all other reservations.

    Parameters
    ----------
    capacity, observed_at
        Of the newest observation; None before the first.
    total, own, pool
        What all, the owner and the pool of the claim have reserved.
    own_servers
        Names of the owner's servers that have a reservation.
    """

    capacity: Resources | None = None
    observed_at: datetime | None = None
    total: Resources = NOTHING
    own: Resources = NOTHING
    pool: Resources = NOTHING
    own_servers: tuple[str, ...] = ()
