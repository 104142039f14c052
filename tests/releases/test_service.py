from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pachon.core.errors import NotFoundError
from pachon.identity.models import ANONYMOUS, Principal
from pachon.releases.models import Release, ReleaseKind, Table
from pachon.releases.service import ReleaseService
from pachon.rights.models import Audience
from pachon.rights.policy import RightsPolicy
from support.memory_releases import MemoryReleases

HOLDER = Principal("astronomer", frozenset({"rights-holders"}))
VISITOR = Principal("visitor")


def release(release_id: str, *table_names: str, audience: Audience = Audience.WORLD) -> Release:
    return Release(
        id=release_id,
        title=release_id,
        description="",
        kind=ReleaseKind.CATALOGUE,
        date=date(2026, 1, 1),
        audience=audience,
        simulated=True,
        source="made for this test",
        licence="CC0",
        tables=tuple(Table(schema=release_id, name=name, description="", columns=()) for name in table_names),
    )


def service(*, on: datetime = datetime(2027, 12, 31, 23, 59, tzinfo=UTC)) -> ReleaseService:
    releases = (
        release("dr1", "object", "source", audience=Audience.HOLDERS),
        release("hipparcos", "stars"),
        release("openngc", "Objects"),
        release("tycho2", "stars"),
    )
    return ReleaseService(MemoryReleases(*releases), RightsPolicy(frozenset({"rights-holders"})), now=lambda: on)


def names(principal: Principal, service: ReleaseService) -> list[str]:
    return [table.qualified_name for table in service.tables(principal)]


def test_everybody_sees_public_releases_and_holders_see_the_proprietary_ones_too() -> None:
    public = ["hipparcos.stars", "openngc.Objects", "tycho2.stars"]
    assert names(ANONYMOUS, service()) == public
    assert names(VISITOR, service()) == public
    assert names(HOLDER, service()) == ["dr1.object", "dr1.source", *public]


def test_a_proprietary_release_appears_to_all_on_the_day_it_becomes_public() -> None:
    assert "dr1.object" in names(ANONYMOUS, service(on=datetime(2028, 1, 1, tzinfo=UTC)))


def test_a_table_is_found_whatever_the_case_of_its_name() -> None:
    assert service().table(ANONYMOUS, "OPENNGC.objects").qualified_name == "openngc.Objects"
    assert service().snapshot(ANONYMOUS, "openngc.OBJECTS").table.qualified_name == "openngc.Objects"


def test_a_table_that_may_not_be_seen_reads_like_one_that_is_not_there() -> None:
    def message(principal: Principal, name: str) -> str:
        with pytest.raises(NotFoundError) as caught:
            service().snapshot(principal, name)
        return caught.value.message

    assert message(VISITOR, "dr1.object").replace("dr1.object", "dr9.object") == message(VISITOR, "dr9.object")
    assert "dr1" not in message(VISITOR, "object")
    assert (
        message(HOLDER, "dr9.object") == "There is no table 'dr9.object'; did you mean dr1.object or openngc.Objects."
    )
    assert service().snapshot(HOLDER, "dr1.object").table.name == "object"


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    with pytest.raises(NotFoundError, match=r"^There is no table 'zzz'\.$"):
        service().table(ANONYMOUS, "zzz")


def test_a_bare_name_suggests_every_table_of_that_name() -> None:
    with pytest.raises(NotFoundError) as caught:
        service().table(ANONYMOUS, "stars")
    assert {"hipparcos.stars", "tycho2.stars"} <= set(caught.value.message.rstrip(".").split())
