"""What an observation makes of a reservation: pure, so that every case can be read in one place."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pachon.allocation.models import Claim, LivePod, Observation, Reservation
from pachon.core.ids import new_id
from pachon.core.resources import Resources


def reconciled(
    known: Reservation, pod: LivePod | None, claim: Claim | None, *, is_same: bool, is_old: bool
) -> Reservation | None:
    """The reservation after an observation; None if it is to be forgotten.

    Parameters
    ----------
    known
        The reservation as it is now.
    pod, claim
        The pod of its name that was observed, and what that takes; None if there was none.
    is_same
        Whether the reservation was there, with the same uid, before the observation began. What changed meanwhile is
        not judged by it: it can only grow.
    is_old
        Whether the reservation is so old that no pod can come of it any more.
    """
    if pod is None or claim is None:
        return None if is_same and (is_old or known.uid is not None) else known
    is_its_pod = is_old or known.uid is not None or known.id == pod.reservation
    if is_same and is_its_pod:
        return replace(known, claim=claim, uid=pod.uid)
    return widened(known, claim.size)


def noted(pod: LivePod, seen: Observation, *, at: datetime) -> Reservation:
    """A reservation for a pod that has none."""
    return Reservation(id=new_id(), claim=claim_of(pod, seen), uid=pod.uid, reserved_at=at)


def claim_of(pod: LivePod, seen: Observation) -> Claim:
    """What a pod takes; one without limits may take everything."""
    size = seen.capacity if pod.size is None else pod.size
    return Claim(pod=pod.pod, owner=pod.owner, server=pod.server, pool=pod.pool, size=size)


def widened(reservation: Reservation, size: Resources) -> Reservation:
    """The reservation, as large as it was or as this size, resource by resource."""
    return replace(reservation, claim=replace(reservation.claim, size=reservation.claim.size.larger(size)))
