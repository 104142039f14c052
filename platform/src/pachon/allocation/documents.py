"""What the ledger says of somebody, as JSON."""

from __future__ import annotations

from typing import Any

from pachon.allocation.models import Cap, Reservation
from pachon.allocation.service import Usage
from pachon.core.resources import Resources

_MILLICORES = 1000


def usage_json(usage: Usage, *, is_counted: bool, everybody: bool) -> dict[str, Any]:
    """What somebody has and may have.

    Parameters
    ----------
    is_counted
        Whether labs are pods, which are counted, or local processes, which are not.
    everybody
        Whether what all have is told too.
    """
    told: dict[str, Any] = {
        "counted": is_counted,
        "own": {"used": _resources(usage.own), "limit": _cap(usage.per_user)},
        "labs": [_lab(each) for each in usage.running],
        "pools": [
            {"group": name, "used": _resources(used), "limit": _cap(cap)} for name, (cap, used) in usage.pools.items()
        ],
        "total": {"limit": None if usage.total is None else _cap(usage.total)},
    }
    if everybody:
        told["total"] |= {"used": _resources(usage.books.total), "capacity": _known(usage.books.capacity)}
        told["total"]["observed_at"] = usage.books.observed_at
        told["people"] = [{"name": name, "used": _resources(used)} for name, used in sorted(usage.owners.items())]
    return told


def _lab(reservation: Reservation) -> dict[str, Any]:
    claim = reservation.claim
    return {
        "server": claim.server,
        "group": claim.pool or None,
        "reserved": _resources(claim.size),
        "since": reservation.reserved_at,
        "exists": reservation.uid is not None,
    }


def _resources(amount: Resources) -> dict[str, Any]:
    return {"cpu": amount.cpu_millicores / _MILLICORES, "memory_bytes": amount.memory_bytes}


def _known(amount: Resources | None) -> dict[str, Any] | None:
    return None if amount is None else _resources(amount)


def _cap(cap: Cap) -> dict[str, Any]:
    cpu = None if cap.cpu_millicores is None else cap.cpu_millicores / _MILLICORES
    return {"cpu": cpu, "memory_bytes": cap.memory_bytes}
