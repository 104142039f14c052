from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.rights.models import Access, Audience
from pachon.rights.policy import RightsPolicy

HOLDER = Principal("novice", frozenset({"rights-holders", "others"}))
VISITOR = Principal("visitor", frozenset({"others"}), frozenset({Scope.QUERY, Scope.ADMIN}))
POLICY = RightsPolicy(frozenset({"rights-holders", "chile"}))
OF_A_RELEASE = (Access.METADATA, Access.QUERY, Access.IMAGE, Access.FILE)


@dataclass(frozen=True)
class Holding:
    date: date
    audience: Audience = Audience.HOLDERS
    id: str = "dr1"


LEAP = Holding(date(2024, 2, 29))
PLAIN = Holding(date(2024, 6, 30))
WORLD = Holding(date(2024, 6, 30), Audience.WORLD)


@pytest.mark.parametrize("access", OF_A_RELEASE)
@pytest.mark.parametrize(
    ("principal", "holding", "day", "allowed"),
    [
        (ANONYMOUS, PLAIN, date(2024, 6, 30), False),
        (ANONYMOUS, PLAIN, date(2026, 6, 29), False),
        (ANONYMOUS, PLAIN, date(2026, 6, 30), True),
        (VISITOR, PLAIN, date(2026, 6, 29), False),
        (VISITOR, PLAIN, date(2026, 6, 30), True),
        (HOLDER, PLAIN, date(2024, 6, 30), True),
        (HOLDER, PLAIN, date(2026, 6, 29), True),
        (VISITOR, LEAP, date(2026, 2, 28), False),
        (VISITOR, LEAP, date(2026, 3, 1), True),
        (ANONYMOUS, WORLD, date(2024, 6, 29), False),
        (ANONYMOUS, WORLD, date(2024, 6, 30), True),
        (VISITOR, WORLD, date(2024, 6, 30), True),
        (Principal("pi", frozenset({"chile"})), PLAIN, date(2024, 7, 1), True),
        (Principal("rights-holders"), PLAIN, date(2024, 7, 1), False),
    ],
)
def test_a_release_opens_to_holders_at_once_and_to_all_to_the_day(
    principal: Principal, holding: Holding, day: date, access: Access, *, allowed: bool
) -> None:
    decision = POLICY.on_release(principal, holding, access, day)
    assert decision.allowed is allowed
    assert bool(decision.reason) is not allowed


@pytest.mark.parametrize(
    ("principal", "access", "allowed"),
    [
        (ANONYMOUS, Access.SPAWN, False),
        (ANONYMOUS, Access.PORTAL, False),
        (ANONYMOUS, Access.QUERY, True),
        (VISITOR, Access.SPAWN, False),
        (VISITOR, Access.PORTAL, False),
        (VISITOR, Access.QUERY, True),
        (HOLDER, Access.SPAWN, True),
        (HOLDER, Access.PORTAL, True),
        (HOLDER, Access.QUERY, True),
    ],
)
def test_lab_and_portal_are_for_holders_and_the_web_apis_for_all(
    principal: Principal, access: Access, *, allowed: bool
) -> None:
    assert POLICY.on_platform(principal, access).allowed is allowed


def test_a_refusal_says_what_is_missing_until_when_and_what_is_open() -> None:
    refusal = POLICY.on_release(VISITOR, LEAP, Access.QUERY, date(2025, 1, 1))
    assert refusal.reason == "Query access to release dr1 needs data rights until 2026-03-01."
    refusal = POLICY.on_platform(VISITOR, Access.SPAWN)
    assert refusal.reason.startswith("JupyterLab is for data rights holders. Open to all without logging in:")


@pytest.mark.parametrize(
    ("years", "holding", "expected"),
    [
        (0, PLAIN, date(2024, 6, 30)),
        (4, LEAP, date(2028, 2, 29)),
        (76, LEAP, date(2100, 3, 1)),
        (5, WORLD, date(2024, 6, 30)),
        (10_000, PLAIN, date.max),
        (10**9, LEAP, date.max),
    ],
)
def test_the_term_is_a_setting_and_survives_leap_days_and_the_end_of_the_calendar(
    years: int, holding: Holding, expected: date
) -> None:
    assert RightsPolicy(frozenset(), years).public_from(holding) == expected


def test_without_holder_groups_nobody_holds_rights() -> None:
    assert not RightsPolicy(frozenset()).is_holder(HOLDER)
