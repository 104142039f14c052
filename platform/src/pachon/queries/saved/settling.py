"""Follows the jobs of saved queries: that one began or ended is in the query, and told, within a second."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from pachon.core.errors import UnavailableError
from pachon.queries.jobs.storage import JOB_PHASE

if TYPE_CHECKING:
    from pachon.queries.saved.running import RunService
    from pachon.state.feed import Feed

_LOG = logging.getLogger(__name__)
_PAUSE_S = 1.0


async def settle_runs(feed: Feed, runs: RunService) -> None:
    """Take note of each job that begins or ends, until cancelled; whoever reads a query does so too: none is missed."""
    while True:
        try:
            async with aclosing(feed.follow()) as events:
                async for event in events:
                    if event.kind == JOB_PHASE:
                        await asyncio.to_thread(runs.job_changed, event.payload["id"])
        except UnavailableError as error:
            _LOG.warning("jobs of saved queries are not followed for a moment: %s", error)
        except Exception:  # noqa: BLE001 -- the edge of a task that must go on; logged
            _LOG.exception("what became of a job could not be noted")
        await asyncio.sleep(_PAUSE_S)
