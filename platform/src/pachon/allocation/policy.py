"""Who may start what: the person's cap, then that of the pool, then that of all user computing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pachon.allocation.models import AllocationLimits, Books, Cap, Claim
from pachon.core.errors import QuotaError, UnavailableError
from pachon.core.resources import Resources, cpu_text, memory_text

_DEFAULT_SERVER = "your default one"
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Policy:
    """Admits claims. Pure: a function of the limits, the books and the moment."""

    limits: AllocationLimits

    def total(self, capacity: Resources) -> Cap:
        """What all labs together may have of a capacity."""
        part = capacity.share(self.limits.share)
        return Cap(part.cpu_millicores, part.memory_bytes)

    def pool(self, name: str) -> Cap:
        """What the labs that are charged to a group may have; a group without a pool has no such limit."""
        return self.limits.pools.get(name, Cap())

    def admit(self, claim: Claim, books: Books, *, at: datetime) -> None:
        """Let a claim pass, or say which limit it meets.

        Raises
        ------
        UnavailableError
            If nobody knows what runs and what there is: nothing is started on a guess.
        QuotaError
            In one sentence: which limit, what is in use, by how much it is passed, and what helps.
        """
        if books.capacity is None or books.observed_at is None or at - books.observed_at > self.limits.stale:
            raise UnavailableError(
                "What labs use of this facility is being counted, and none is started before that is known; "
                "try again in a minute."
            )
        total = f"All labs together may have {self.limits.share * _PERCENT:.4g} % of this facility, which is"
        everybodys = "try again when others have ended, or choose a smaller size"
        _check(claim, books.own, self.limits.per_user, lead="Your labs together may have", remedy=_remedy(books))
        if claim.pool:
            group = f"Labs of the group '{claim.pool}' together may have"
            _check(claim, books.pool, self.pool(claim.pool), lead=group, remedy=everybodys)
        _check(claim, books.total, self.total(books.capacity), lead=total, remedy=everybodys)


def _remedy(books: Books) -> str:
    if not books.own_servers:
        return "choose a smaller size"
    names = ", ".join(f"'{name}'" if name else _DEFAULT_SERVER for name in books.own_servers)
    return f"stop one of those that run ({names}), or choose a smaller size"


def _check(claim: Claim, used: Resources, cap: Cap, *, lead: str, remedy: str) -> None:
    """Compare the sum with a cap, processors first."""
    kinds = (
        (cap.cpu_millicores, used.cpu_millicores, claim.size.cpu_millicores, cpu_text, ""),
        (cap.memory_bytes, used.memory_bytes, claim.size.memory_bytes, memory_text, " of memory"),
    )
    for most, taken, wanted, text, what in kinds:
        if most is not None and taken + wanted > most:
            over = taken + wanted - most
            raise QuotaError(
                f"{lead} {text(most)}{what}, of which {text(taken)} is in use, and this one with {text(wanted)} is "
                f"{text(over)} more than is left: {remedy}."
            )
