"""Forgets what is kept for a stated time only: records of runs, old events, files of releases that nobody reads."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from pachon.core import clock
from pachon.core.errors import PachonError
from pachon.releases.tiers import remove_replaced

if TYPE_CHECKING:
    from pachon.app.wiring import Services

_log = logging.getLogger(__name__)
_EVERY_S = 3600.0
_KEEP_EVENTS = timedelta(days=1)


async def keep_tidy(services: Services, *, every_s: float = _EVERY_S) -> None:
    """Forget now and then again and again, until cancelled; a database that is away is asked again next time."""
    while True:
        try:
            await asyncio.to_thread(forget, services)
        except PachonError as error:
            _log.warning("what is old could not be forgotten: %s", error)
        await asyncio.sleep(every_s)


def forget(services: Services) -> None:
    """Forget once."""
    now = clock.now()
    services.executions.forget(now)
    services.outbox.forget(now - _KEEP_EVENTS)
    remove_replaced(services.registry, at=now, keep=timedelta(hours=services.settings.data.keep_replaced_hours))
