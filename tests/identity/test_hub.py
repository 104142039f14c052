from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest
from starlette.responses import JSONResponse, Response

from pachon.core.errors import AuthenticationError, UnavailableError
from pachon.identity.hub import HubPrincipals
from pachon.identity.models import Principal
from support.hub_double import HubDouble, running_hub

Value = TypeVar("Value")


@dataclass
class HeldClock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def shared_hub() -> Iterator[HubDouble]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def hub(shared_hub: HubDouble) -> HubDouble:
    shared_hub.users.clear()
    shared_hub.broken_with, shared_hub.delay_s, shared_hub.asked = None, 0.0, 0
    shared_hub.know(
        "t", "novice", groups=("rights-holders",), scopes=("custom:pachon:query", "read:users:name!user=novice")
    )
    return shared_hub


def asking(hub_url: str, work: Callable[[HubPrincipals], Awaitable[Value]], *, clock: HeldClock | None = None) -> Value:
    """Run a piece of work with principals that ask this hub."""

    async def run() -> Value:
        principals = HubPrincipals(hub_url, cache_s=30, timeout_s=0.5, monotonic=clock or HeldClock())
        try:
            return await work(principals)
        finally:
            await principals.aclose()

    return asyncio.run(run())


def test_a_token_gives_name_groups_and_scopes(hub: HubDouble) -> None:
    principal = asking(hub.url, lambda principals: principals.resolve("t"))
    assert principal == Principal(
        name="novice",
        groups=frozenset({"rights-holders"}),
        scopes=frozenset({"custom:pachon:query", "read:users:name!user=novice"}),
    )


def test_a_service_is_never_taken_for_a_person_of_the_same_name(hub: HubDouble) -> None:
    hub.users["s"] = {"kind": "service", "name": "portal", "scopes": [], "admin": False}
    assert asking(hub.url, lambda principals: principals.resolve("s")).name == "service:portal"


def test_fifty_requests_at_once_ask_the_hub_once(hub: HubDouble) -> None:
    hub.delay_s = 0.05

    async def work(principals: HubPrincipals) -> set[Principal]:
        return set(await asyncio.gather(*(principals.resolve("t") for _ in range(50))))

    assert {principal.name for principal in asking(hub.url, work)} == {"novice"}
    assert hub.asked == 1


def test_one_caller_who_leaves_does_not_fail_the_others(hub: HubDouble) -> None:
    hub.delay_s = 0.05

    async def work(principals: HubPrincipals) -> str:
        leaver, stayer = (asyncio.create_task(principals.resolve("t")) for _ in range(2))
        await asyncio.sleep(0.01)
        leaver.cancel()
        return (await stayer).name

    assert asking(hub.url, work) == "novice"


def test_a_revoked_token_stops_working_when_the_answer_is_as_old_as_the_cache(hub: HubDouble) -> None:
    clock = HeldClock()

    async def work(principals: HubPrincipals) -> None:
        await principals.resolve("t")
        hub.users.clear()
        clock.now_s += 29.9
        assert (await principals.resolve("t")).name == "novice"
        clock.now_s += 0.2
        with pytest.raises(AuthenticationError, match="not valid"):
            await principals.resolve("t")

    asking(hub.url, work, clock=clock)
    assert hub.asked == 2


def test_a_refusal_is_believed_for_five_seconds_only(hub: HubDouble) -> None:
    clock = HeldClock()

    async def work(principals: HubPrincipals) -> str:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await principals.resolve("soon")
        assert hub.asked == 1
        hub.know("soon", "astronomer")
        clock.now_s += 5.1
        return (await principals.resolve("soon")).name

    assert asking(hub.url, work, clock=clock) == "astronomer"


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        (Response(status_code=500), 5),
        (Response(status_code=503, headers={"Retry-After": "12"}), 12),
        (Response(status_code=429, headers={"Retry-After": "soon"}), 5),
        (Response(status_code=302, headers={"Location": "/hub/login"}), 5),
        (Response("<html>maintenance</html>"), 5),
        (JSONResponse({"kind": "user", "name": ""}), 5),
        (JSONResponse({"kind": "user", "name": "novice", "groups": "rights-holders"}), 5),
    ],
)
def test_a_broken_answer_means_try_again_and_lets_nobody_in(
    hub: HubDouble, answer: Response, retry_after_s: int
) -> None:
    hub.broken_with = answer
    with pytest.raises(UnavailableError) as caught:
        asking(hub.url, lambda principals: principals.resolve("t"))
    assert caught.value.retry_after_s == retry_after_s


def test_a_hub_that_is_slow_means_try_again_within_the_time_allowed(hub: HubDouble) -> None:
    hub.delay_s = 3.0

    async def work(principals: HubPrincipals) -> None:
        async with asyncio.timeout(1.5):
            with pytest.raises(UnavailableError):
                await principals.resolve("t")

    asking(hub.url, work)


def test_an_old_answer_is_not_used_while_the_hub_is_down_and_all_recovers_after(hub: HubDouble) -> None:
    clock = HeldClock()

    async def work(principals: HubPrincipals) -> str:
        await principals.resolve("t")
        hub.broken_with = Response(status_code=502)
        clock.now_s += 30
        with pytest.raises(UnavailableError):
            await principals.resolve("t")
        hub.broken_with = None
        return (await principals.resolve("t")).name

    assert asking(hub.url, work, clock=clock) == "novice"


def test_a_hub_that_is_away_is_not_up_and_nobody_gets_in(unused_url: str) -> None:
    assert not asking(unused_url, lambda principals: principals.is_up())
    with pytest.raises(UnavailableError):
        asking(unused_url, lambda principals: principals.resolve("t"))


def test_a_hub_that_answers_is_up(hub: HubDouble) -> None:
    assert asking(hub.url, lambda principals: principals.is_up())


@pytest.fixture
def unused_url() -> str:
    with running_hub() as hub:
        return hub.url


def test_the_caches_stay_bounded_under_a_flood_of_wrong_tokens(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pachon.identity.hub._CACHE_SIZE", 10)

    async def work(principals: HubPrincipals) -> int:
        await principals.resolve("t")
        for number in range(25):
            with pytest.raises(AuthenticationError):
                await principals.resolve(f"guess-{number}")
        asked = hub.asked
        await principals.resolve("t")
        assert hub.asked == asked, "a flood of guesses must not push out people who are known"
        return len(principals._refused._entries)

    assert asking(hub.url, work) == 10
