"""Repairs once what a crash left of releases, then forgets what is kept for a stated time only, again and again.

What is forgotten: records of runs, old events, files of releases that nobody reads. Statistics of new tables are
learnt on the way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from pachon.core import clock
from pachon.core.errors import PachonError
from pachon.releases.models import Lifecycle
from pachon.releases.tiers import remove_replaced
from pachon.releases.upkeep import recover

if TYPE_CHECKING:
    from pachon.app.wiring import Services
    from pachon.releases.models import Release, Snapshot

_log = logging.getLogger(__name__)
_EVERY_S = 3600.0
_LOOK_EVERY_S = 60.0
_KEEP_EVENTS = timedelta(days=1)


async def keep_tidy(services: Services, *, every_s: float = _EVERY_S, look_every_s: float = _LOOK_EVERY_S) -> None:
    """Repair, then forget and learn again and again, until cancelled; what fails is tried again next time.

    Parameters
    ----------
    every_s
        Time between two rounds.
    look_every_s
        Time between two looks at the releases: what is published or changed meanwhile is learnt at once.
    """
    try:
        await asyncio.to_thread(repair, services)
    except (PachonError, OSError):
        _log.exception(
            "what a crash left of releases could not be repaired; 'pachon release verify' says what is wrong"
        )
    while True:
        try:
            await asyncio.to_thread(forget, services)
        except PachonError as error:
            _log.warning("what is old could not be forgotten: %s", error)
        await _learn_for(services, every_s, look_every_s)


async def _learn_for(services: Services, during_s: float, look_every_s: float) -> None:
    """Learn now, and for some time whenever the releases are others than before."""
    known: tuple[Release, ...] | None = None
    until_s = time.monotonic() + during_s
    while time.monotonic() < until_s:
        try:
            found = await asyncio.to_thread(services.store.releases)
            if found != known:
                await learn(services)
                known = found
        except PachonError as error:
            _log.warning("the releases could not be looked at: %s", error)
        await asyncio.sleep(look_every_s)


def repair(services: Services) -> None:
    """Finish or undo what was interrupted among the releases."""
    recover(services.registry, at=clock.now(), keep=_keep_replaced(services), report=_log.info)


def forget(services: Services) -> None:
    """Forget once."""
    now = clock.now()
    services.executions.forget(now)
    services.outbox.forget(now - _KEEP_EVENTS)
    services.saved.runs.tidy()
    remove_replaced(services.registry, at=now, keep=_keep_replaced(services))


def _keep_replaced(services: Services) -> timedelta:
    return timedelta(hours=services.settings.data.keep_replaced_hours)


async def learn(services: Services) -> None:
    """Learn the statistics of all tables that are queried one by one, and forget those of others."""
    releases = await asyncio.to_thread(services.store.releases)
    queried = [each for each in releases if each.lifecycle is not Lifecycle.ARCHIVED]
    present: list[Snapshot] = []
    for release, table in [(each, table) for each in queried for table in each.tables]:
        try:
            present.append(await asyncio.to_thread(services.store.snapshot, release, table))
            found = await asyncio.to_thread(services.statistics.of, present[-1])
            await asyncio.to_thread(services.ranges.learn, table, found)
        except PachonError as error:
            _log.warning("statistics of %s could not be learnt: %s", table.qualified_name, error)
    await asyncio.to_thread(services.statistics.keep_only, present)
