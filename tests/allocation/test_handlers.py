"""The ledger over HTTP: who may ask what of it, and the hub's side against the real application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pachon.allocation.watching import keep_true
from pachon.core.errors import QuotaError, UnavailableError
from pachon.core.resources import Resources
from pachon.hub.reservations import PodClaim, Reservations
from pachon.identity.models import Scope
from support.ledger_site import ADMIN, NOVICE, STRANGER, Ledger, running_ledger
from support.ledgers import GIBIBYTE, HUB, NAMESPACE, ClusterDouble, claim, live


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with running_ledger(tmp_path, ClusterDouble()) as found:
        asyncio.run(found.service.look())
        yield found


def wanted(owner: str = "novice", server: str = "", *, cpu: float = 1, pool: str = "") -> PodClaim:
    one = claim(owner, server, cpu=cpu, pool=pool)
    return PodClaim(
        namespace=NAMESPACE,
        pod=one.pod.name,
        owner=owner,
        groups=("deep-team",) if owner == "novice" else (),
        server=server,
        pool=pool,
        size=one.size,
    )


def test_the_hub_reserves_confirms_cancels_and_gives_back(ledger: Ledger) -> None:
    hub = Reservations(f"{ledger.url}/api", HUB)

    async def live_through() -> list[Any]:
        seen = []
        first = await hub.reserve(wanted(pool="deep-team"))
        second = await hub.reserve(wanted(server="big", cpu=2))
        await hub.confirm(first, wanted(pool="deep-team"), "uid-1")
        seen.append(ledger.get(NOVICE).json())
        await hub.cancel(second)
        seen.append(ledger.get(NOVICE).json()["own"]["used"]["cpu"])
        await hub.release(NAMESPACE, "jupyter-novice", "uid-1")
        seen.append(ledger.get(NOVICE).json()["own"]["used"]["cpu"])
        return seen

    told, *cpu = asyncio.run(live_through())
    assert cpu == [1, 0]
    assert told["own"] == {
        "used": {"cpu": 3, "memory_bytes": 8 * GIBIBYTE},
        "limit": {"cpu": 4, "memory_bytes": 16 * GIBIBYTE},
    }
    assert [(lab["server"], lab["group"], lab["exists"]) for lab in told["labs"]] == [
        ("", "deep-team", True),
        ("big", None, False),
    ]
    pool = {"used": {"cpu": 1, "memory_bytes": 4 * GIBIBYTE}, "limit": {"cpu": 6, "memory_bytes": None}}
    assert told["pools"] == [{"group": "deep-team", **pool}]
    assert told["total"] == {"limit": {"cpu": 10, "memory_bytes": 40 * GIBIBYTE}}


def test_the_hub_hears_which_limit_is_met_and_what_is_not_a_clear_yes_is_a_no(ledger: Ledger) -> None:
    hub = Reservations(f"{ledger.url}/api", HUB)
    with pytest.raises(QuotaError, match=r"^Your labs together may have 4 CPU, of which 0 CPU is in use"):
        asyncio.run(hub.reserve(wanted(cpu=5)))
    for url, token in ((f"{ledger.url}/api", NOVICE), ("http://127.0.0.1:1/api", HUB), (f"{ledger.url}/none", HUB)):
        with pytest.raises(UnavailableError, match="What labs may use is not known now"):
            asyncio.run(Reservations(url, token).reserve(wanted()))
    with pytest.raises(UnavailableError):
        asyncio.run(hub.reserve(wanted("stranger", pool="deep-team")))
    assert ledger.service.usage("novice", pools=frozenset(), everybody=True).owners == {}


def test_everybody_sees_their_own_and_administrators_see_all(ledger: Ledger) -> None:
    asyncio.run(Reservations(f"{ledger.url}/api", HUB).reserve(wanted()))
    assert ledger.get().status_code == 401
    stranger, admin = ledger.get(STRANGER).json(), ledger.get(ADMIN).json()
    assert (stranger["labs"], stranger["pools"], "people" in stranger, set(stranger["total"])) == (
        [],
        [],
        False,
        {"limit"},
    )
    assert admin["people"] == [{"name": "novice", "used": {"cpu": 1, "memory_bytes": 4 * GIBIBYTE}}]
    assert admin["total"]["used"] == {"cpu": 1, "memory_bytes": 4 * GIBIBYTE}
    assert admin["total"]["capacity"] == {"cpu": 100, "memory_bytes": 400 * GIBIBYTE}
    assert [pool["group"] for pool in admin["pools"]] == ["deep-team"]


def test_nobody_but_the_hub_reserves_or_gives_back(ledger: Ledger) -> None:
    body = {**wanted().to_json(), "uid": "uid-1"}
    asked = [
        ("POST", "/api/allocation/reservations"),
        ("POST", "/api/allocation/reservations/x/confirm"),
        ("DELETE", "/api/allocation/reservations/x"),
        ("DELETE", f"/api/allocation/pods/{NAMESPACE}/jupyter-novice?uid=uid-1"),
    ]
    for token in (NOVICE, ADMIN):
        for method, path in asked:
            headers = {"Authorization": f"Bearer {token}"}
            answer = ledger.client.request(method, path, json=body, headers=headers)
            assert (answer.status_code, Scope.ALLOCATION in answer.text) == (403, True)


def test_no_lab_starts_before_the_pods_that_run_were_counted_once(tmp_path: Path) -> None:
    cluster = ClusterDouble()
    with running_ledger(tmp_path, cluster) as ledger:
        hub = Reservations(f"{ledger.url}/api", HUB)
        with pytest.raises(UnavailableError, match="is being counted"):
            asyncio.run(hub.reserve(wanted()))
        cluster.pods[claim("other").pod] = live(claim("other"), "uid-9")

        async def watch_for_a_moment() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(keep_true(ledger.service, every_s=0.05), 0.5)

        asyncio.run(watch_for_a_moment())
        asyncio.run(hub.reserve(wanted()))
        used = ledger.service.usage("", pools=frozenset(), everybody=True).owners
        assert used == {"other": Resources(1000, 4 * GIBIBYTE), "novice": Resources(1000, 4 * GIBIBYTE)}


def test_where_labs_are_processes_nothing_is_counted_and_that_is_said(tmp_path: Path) -> None:
    with running_ledger(tmp_path, None) as ledger:
        told = ledger.get(NOVICE).json()
        assert (told["counted"], told["total"]) == (False, {"limit": None})
        headers = {"Authorization": f"Bearer {HUB}"}
        refused = ledger.client.post("/api/allocation/reservations", json=wanted().to_json(), headers=headers)
        assert (refused.status_code, "local processes" in refused.json()["error"]["message"]) == (409, True)
