"""The promise of a ledger, whatever keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from pachon.allocation.models import Books, Claim, Observation, PodName, Reservation
from pachon.core.resources import Resources

Admit = Callable[[Claim, Books], None]
"""Raises if a claim may not be added to the books."""


class LedgerStore(Protocol):
    """Keeps reservations, one for each name of a pod.

    Every method is one step: what others do at the same time, in any process, comes before or after it. All block, are
    safe to call from threads, and may raise `UnavailableError`.
    """

    def reserve(self, claim: Claim, admit: Admit) -> Reservation:
        """Add a claim if it is admitted.

        A reservation of the same pod's name is replaced: its pod may still exist, so the larger of both sizes is
        asked for and kept until the new pod is known.
        """
        ...

    def confirm(self, reservation_id: str, claim: Claim, uid: str, admit: Admit) -> None:
        """Take note that the pod of a reservation was created, with its real size.

        A pod that is larger than its reservation, or whose reservation was forgotten meanwhile, is noted all the same:
        it exists. What `admit` says of it is then raised. A newer reservation of this name stays, and counts for both.
        """
        ...

    def cancel(self, reservation_id: str) -> None:
        """Forget a reservation of which no pod was made; one whose pod is known stays."""
        ...

    def release(self, pod: PodName, uid: str) -> None:
        """Forget the reservation of a pod that is gone; that of a later pod of this name stays."""
        ...

    def snapshot(self) -> Mapping[str, str | None]:
        """The uids of all reservations, by their ids: to be taken before an observation."""
        ...

    def reconcile(
        self, before: Mapping[str, str | None], seen: Observation, *, at: datetime, reserved_before: datetime
    ) -> None:
        """Make the ledger hold what was observed.

        Forgotten are reservations that were the same `before` the observation, and whose pod is not there now; such of
        which no pod was ever seen only if they were made before `reserved_before`. Pods without a reservation get one.
        """
        ...

    def books(self, claim: Claim) -> Books:
        """The ledger as this claim would meet it."""
        ...

    def of(self, owner: str) -> tuple[Reservation, ...]:
        """The reservations of a person, oldest first."""
        ...

    def owners(self) -> Mapping[str, Resources]:
        """What each person has reserved."""
        ...
