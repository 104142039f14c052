from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.rights.models import Access, Audience, Embargo
from pachon.rights.policy import RightsPolicy

HOLDER = Principal("novice", frozenset({"rights-holders", "others"}))
VISITOR = Principal("visitor", frozenset({"others"}), frozenset({Scope.QUERY}))
COMMISSIONER = Principal("pi", frozenset({"commissioning"}))
ADMIN = Principal("admin", frozenset(), frozenset({Scope.ADMIN}))
POLICY = RightsPolicy(frozenset({"rights-holders", "chile"}))
OF_A_RELEASE = tuple(access for access in Access if access.is_to_a_release)
NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Release:
    date: date
    audience: Audience = Audience.HOLDERS
    id: str = "dr1"
    groups: frozenset[str] = frozenset()
    is_living: bool = False


LEAP = Release(date(2024, 2, 29))
PLAIN = Release(date(2024, 6, 30))
WORLD = Release(date(2024, 6, 30), Audience.WORLD)
COMMISSIONING = Release(date(2024, 6, 30), groups=frozenset({"commissioning"}), id="comm")
LIVING = Release(date(2010, 1, 1), is_living=True, id="prompt")


def last_second(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)


def first_second(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize("access", OF_A_RELEASE)
@pytest.mark.parametrize(
    ("principal", "release", "at", "allowed"),
    [
        (ANONYMOUS, PLAIN, first_second(date(2024, 6, 30)), False),
        (ANONYMOUS, PLAIN, last_second(date(2026, 6, 29)), False),
        (ANONYMOUS, PLAIN, first_second(date(2026, 6, 30)), True),
        (VISITOR, PLAIN, last_second(date(2026, 6, 29)), False),
        (VISITOR, PLAIN, first_second(date(2026, 6, 30)), True),
        (HOLDER, PLAIN, first_second(date(2024, 6, 30)), True),
        (HOLDER, PLAIN, last_second(date(2026, 6, 29)), True),
        (VISITOR, LEAP, last_second(date(2026, 2, 28)), False),
        (VISITOR, LEAP, first_second(date(2026, 3, 1)), True),
        (ANONYMOUS, WORLD, last_second(date(2024, 6, 29)), False),
        (ANONYMOUS, WORLD, first_second(date(2024, 6, 30)), True),
        (VISITOR, WORLD, first_second(date(2024, 6, 30)), True),
        (Principal("pi", frozenset({"chile"})), PLAIN, NOW, True),
        (Principal("rights-holders"), PLAIN, NOW, False),
        (COMMISSIONER, COMMISSIONING, NOW, True),
        (COMMISSIONER, PLAIN, NOW, False),
        (HOLDER, COMMISSIONING, NOW, False),
        (HOLDER, COMMISSIONING, first_second(date(2026, 6, 30)), True),
        (HOLDER, LIVING, NOW, True),
        (VISITOR, LIVING, NOW, False),
        (VISITOR, replace(LIVING, audience=Audience.WORLD), NOW, True),
    ],
)
def test_a_release_opens_to_its_groups_at_once_and_to_all_to_the_day(
    principal: Principal, release: Release, at: datetime, access: Access, *, allowed: bool
) -> None:
    decision = POLICY.decide(principal, access, at=at, sources=(release,))
    assert decision.allowed is allowed
    assert bool(decision.reason) is not allowed
    assert not decision.by_override


@pytest.mark.parametrize("access", [access for access in Access if not access.is_to_a_release])
@pytest.mark.parametrize("principal", [ANONYMOUS, VISITOR, ADMIN, HOLDER])
def test_parts_of_the_platform_are_for_holders_but_for_the_alert_stream(principal: Principal, access: Access) -> None:
    expected = principal is HOLDER or access is Access.ALERT_STREAM
    assert POLICY.decide(principal, access, at=NOW).allowed is expected
    everything = RightsPolicy(frozenset(), open_to_all=frozenset(Access))
    assert everything.decide(principal, access, at=NOW).allowed


def test_a_derived_product_takes_the_strictest_of_its_sources() -> None:
    assert POLICY.decide(HOLDER, Access.QUERY, at=NOW, sources=(WORLD, PLAIN)).allowed
    assert not POLICY.decide(HOLDER, Access.QUERY, at=NOW, sources=(PLAIN, COMMISSIONING)).allowed
    assert not POLICY.decide(VISITOR, Access.FILE, at=NOW, sources=(WORLD, PLAIN)).allowed
    assert POLICY.decide(VISITOR, Access.FILE, at=NOW, sources=(WORLD, WORLD)).allowed


def test_an_embargoed_image_is_for_nobody_until_its_hours_are_over() -> None:
    embargo = Embargo(hours=80, taken_at=NOW)
    before, after = NOW + timedelta(hours=80, seconds=-1), NOW + timedelta(hours=80)
    refusal = POLICY.decide(HOLDER, Access.IMAGE, at=before, sources=(PLAIN,), embargo=embargo)
    assert refusal.reason == "This image is under embargo until 2025-01-04 20:00 UTC."
    assert POLICY.decide(HOLDER, Access.IMAGE, at=after, sources=(PLAIN,), embargo=embargo).allowed
    assert not POLICY.decide(VISITOR, Access.IMAGE, at=after, sources=(PLAIN,), embargo=embargo).allowed


@pytest.mark.parametrize("access", OF_A_RELEASE)
def test_an_administrator_is_let_in_and_the_decision_says_that_it_was_an_override(access: Access) -> None:
    assert POLICY.decide(ADMIN, access, at=NOW, sources=(PLAIN,)).by_override
    assert not POLICY.decide(ADMIN, access, at=NOW, sources=(WORLD,)).by_override


def test_a_refusal_says_what_is_missing_until_when_and_what_is_open() -> None:
    refusal = POLICY.decide(VISITOR, Access.QUERY, at=NOW, sources=(LEAP,))
    assert refusal.reason == "Query access to release dr1 needs data rights until 2026-03-01."
    refusal = POLICY.decide(HOLDER, Access.FILE, at=NOW, sources=(COMMISSIONING,))
    assert refusal.reason == "File access to release comm needs membership of commissioning until 2026-06-30."
    refusal = POLICY.decide(VISITOR, Access.QUERY, at=NOW, sources=(LIVING,))
    assert refusal.reason == "Query access to release prompt needs data rights."
    refusal = POLICY.decide(VISITOR, Access.SPAWN, at=NOW)
    assert refusal.reason.startswith("JupyterLab is for data rights holders. Open to all without logging in:")


@pytest.mark.parametrize(
    ("years", "release", "expected"),
    [
        (0, PLAIN, date(2024, 6, 30)),
        (4, LEAP, date(2028, 2, 29)),
        (76, LEAP, date(2100, 3, 1)),
        (5, WORLD, date(2024, 6, 30)),
        (10_000, PLAIN, date.max),
        (10**9, LEAP, date.max),
        (2, LIVING, date.max),
    ],
)
def test_the_term_is_a_setting_and_survives_leap_days_and_the_end_of_the_calendar(
    years: int, release: Release, expected: date
) -> None:
    assert RightsPolicy(frozenset(), years).public_from(release) == expected


def test_without_holder_groups_nobody_holds_rights() -> None:
    assert not RightsPolicy(frozenset()).is_holder(HOLDER)
