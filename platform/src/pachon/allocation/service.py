"""Decides who may start what, and keeps the ledger true to what runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pachon.allocation.models import AllocationLimits, Books, Cap, Claim, Observation, PodName, Reservation
from pachon.allocation.policy import Policy
from pachon.allocation.storage import LedgerStore
from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import ConflictError
from pachon.core.resources import NOTHING, Resources


class Cluster(Protocol):
    """Where labs run. `cluster.KubernetesCluster` asks Kubernetes."""

    async def observe(self) -> Observation:
        """Every live pod of labs, and the capacity.

        Raises
        ------
        UnavailableError
            If the cluster does not say.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What somebody has, may have, and what all have.

    Parameters
    ----------
    total, everybody
        Cap and use of all user computing; None before the first observation, and for whom it is not.
    """

    running: tuple[Reservation, ...]
    own: Resources
    per_user: Cap
    pools: Mapping[str, tuple[Cap, Resources]]
    books: Books
    total: Cap | None
    owners: Mapping[str, Resources]


class AllocationService:
    """The ledger with its rules. Methods block, but for `look`.

    Parameters
    ----------
    store
        Keeps the ledger.
    cluster
        Where labs run; None where they are local processes, which nobody counts.
    limits
        The caps.
    """

    def __init__(
        self, store: LedgerStore, cluster: Cluster | None, limits: AllocationLimits, *, now: Clock = clock.now
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._policy = Policy(limits)
        self._now = now

    @property
    def is_kept(self) -> bool:
        """Whether labs are counted at all."""
        return self._cluster is not None

    def reserve(self, claim: Claim) -> Reservation:
        """Reserve before a pod is created.

        Raises
        ------
        QuotaError
            If it would go over a cap.
        UnavailableError
            If what runs is not known now.
        ConflictError
            If labs are no pods here.
        """
        self._require_cluster()
        return self._store.reserve(claim, self._admit)

    def confirm(self, reservation_id: str, claim: Claim, uid: str) -> None:
        """Take note of a pod that was created.

        Raises
        ------
        QuotaError
            If its reservation was forgotten, or was smaller, and there is no room: the pod must go, and counts until
            it is gone.
        """
        self._require_cluster()
        self._store.confirm(reservation_id, claim, uid, self._admit)

    def cancel(self, reservation_id: str) -> None:
        """Give back what was reserved for a pod that was never created."""
        self._store.cancel(reservation_id)

    def release(self, pod: PodName, uid: str) -> None:
        """Give back what a pod had that is gone."""
        self._store.release(pod, uid)

    async def look(self) -> None:
        """Make the ledger true to what runs now.

        Raises
        ------
        UnavailableError
            If cluster or database do not answer: after a while nothing more is admitted.
        """
        if self._cluster is None:
            return
        before = await asyncio.to_thread(self._store.snapshot)
        at = self._now()
        seen = await self._cluster.observe()
        forgotten = at - self._policy.limits.reservation
        await asyncio.to_thread(self._store.reconcile, before, seen, at=at, reserved_before=forgotten)

    def usage(self, owner: str, *, pools: frozenset[str], everybody: bool) -> Usage:
        """What a person has and may have.

        Parameters
        ----------
        pools
            The person's groups.
        everybody
            Whether what others have is told too.
        """
        running = self._store.of(owner)
        nothing = Claim(pod=PodName("", ""), owner=owner, size=NOTHING)
        books = self._store.books(nothing)
        known = {name: cap for name, cap in self._policy.limits.pools.items() if everybody or name in pools}
        used = {name: self._store.books(replace(nothing, pool=name)).pool for name in known}
        return Usage(
            running=running,
            own=books.own,
            per_user=self._policy.limits.per_user,
            pools={name: (cap, used[name]) for name, cap in known.items()},
            books=books,
            total=None if books.capacity is None else self._policy.total(books.capacity),
            owners=self._store.owners() if everybody else {},
        )

    async def aclose(self) -> None:
        """Close the connections to the cluster."""
        if self._cluster is not None:
            await self._cluster.aclose()

    def _admit(self, claim: Claim, books: Books) -> None:
        self._policy.admit(claim, books, at=self._now())

    def _require_cluster(self) -> None:
        if self._cluster is None:
            raise ConflictError(
                "Labs are local processes here, which nobody counts: only with the setting labs.spawner 'kubernetes' "
                "can a part of the share be reserved."
            )
