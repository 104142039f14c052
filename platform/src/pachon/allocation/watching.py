"""Keeps the ledger true while the Web APIs run."""

from __future__ import annotations

import asyncio
import logging

from pachon.allocation.service import AllocationService
from pachon.core.errors import PachonError

_LOG = logging.getLogger(__name__)


async def keep_true(service: AllocationService, *, every_s: float) -> None:
    """Look again and again what runs, until cancelled; what fails is tried again next time.

    As long as it fails nothing new is admitted, once the last observation has become too old.
    """
    while service.is_kept:
        try:
            await service.look()
        except PachonError as error:
            _LOG.warning("the ledger of labs could not be compared with what runs: %s", error)
        await asyncio.sleep(every_s)
