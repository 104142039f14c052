"""Which limit a claim meets, and what the refusal says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pachon.allocation.models import Books
from pachon.allocation.policy import Policy
from pachon.core.errors import QuotaError, UnavailableError
from support.ledgers import CAPACITY, LIMITS, NOON, claim, size

POLICY = Policy(LIMITS)


def books(**sums: object) -> Books:
    return Books(capacity=CAPACITY, observed_at=NOON, **sums)  # type: ignore[arg-type]


def test_what_fits_exactly_is_admitted() -> None:
    full = books(total=size(6, 24), own=size(0, 0), pool=size(2, 0))
    POLICY.admit(claim(cpu=4, gib=16, pool="deep-team"), full, at=NOON)


OWN, POOL = "Your labs together may have", "Labs of the group 'deep-team' together may have"
ALL = "All labs together may have 10 % of this facility, which is"
WAIT = "try again when others have ended, or choose a smaller size"


@pytest.mark.parametrize(
    ("sums", "limit", "use", "helps"),
    [
        (
            {"own": size(3, 1), "own_servers": ("", "big")},
            f"{OWN} 4 CPU",
            "of which 3 CPU is in use, and this one with 2 CPU is 1 CPU more than is left",
            "stop one of those that run (your default one, 'big'), or choose a smaller size",
        ),
        (
            {"own": size(1, 13), "own_servers": ("big",)},
            f"{OWN} 16 GiB of memory",
            "of which 13 GiB is in use, and this one with 4 GiB is 1 GiB more than is left",
            "stop one of those that run ('big'), or choose a smaller size",
        ),
        (
            {"pool": size(5, 99)},
            f"{POOL} 6 CPU",
            "of which 5 CPU is in use, and this one with 2 CPU is 1 CPU more than is left",
            WAIT,
        ),
        (
            {"total": size(8.5, 1)},
            f"{ALL} 10 CPU",
            "of which 8.5 CPU is in use, and this one with 2 CPU is 0.5 CPU more than is left",
            WAIT,
        ),
    ],
)
def test_a_refusal_names_the_limit_the_use_and_what_helps(
    sums: dict[str, object], limit: str, use: str, helps: str
) -> None:
    with pytest.raises(QuotaError) as refused:
        POLICY.admit(claim(cpu=2, pool="deep-team"), books(**sums), at=NOON)
    assert refused.value.message == f"{limit}, {use}: {helps}."


def test_nothing_is_admitted_on_a_guess() -> None:
    stale = NOON + timedelta(seconds=61)
    for known, at in ((Books(), NOON), (books(), stale)):
        with pytest.raises(UnavailableError, match="is being counted, and none is started before that is known"):
            POLICY.admit(claim(), known, at=at)


def test_a_cap_that_falls_below_what_is_in_use_stops_new_labs_only() -> None:
    shrunk = Books(capacity=size(10, 40), observed_at=NOON, total=size(5, 8))
    with pytest.raises(QuotaError, match="which is 1 CPU, of which 5 CPU is in use"):
        POLICY.admit(claim(), shrunk, at=NOON)
