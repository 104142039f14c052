"""Hands the outbox's events to any number of followers in one process, such as open event streams."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress

from pachon.core.errors import UnavailableError
from pachon.state.outbox import Event, Outbox

_LOG = logging.getLogger(__name__)
_POLL_S = 0.25
_BATCH = 100
_FAULT_PAUSE = 20
"""After a fault of ours, a look is this many times rarer."""


class Feed:
    """Follows an outbox. One task a process asks the database for the newest id, only while somebody follows.

    A follower reads its own events from the database at its own pace: a slow one loses nothing and keeps nobody
    waiting, and one that comes back continues after the last id it has seen. For one event loop at a time.

    Parameters
    ----------
    outbox
        Where events are read.
    poll_s
        Time between two looks; an event arrives at most about this much later.
    """

    def __init__(self, outbox: Outbox, *, poll_s: float = _POLL_S) -> None:
        self._outbox = outbox
        self._poll_s = poll_s
        self._newest_id = 0
        self._news = asyncio.Condition()
        self._followers = 0
        self._watch: asyncio.Task[None] | None = None

    async def follow(
        self, after: int | None = None, *, key: str | Collection[str] | None = None
    ) -> AsyncGenerator[Event, None]:
        """Events as they come, without end; close the generator (`contextlib.aclosing`) to stop.

        Parameters
        ----------
        after
            Id of the last event seen (`Last-Event-ID`); None for events from now on.
        key
            Only events of this key, or of one of these.

        Raises
        ------
        UnavailableError
            If the database does not answer while there are events to read.
        """
        seen = await asyncio.to_thread(self._outbox.latest_id) if after is None else after
        self._arrive()
        try:
            while True:
                await self._news_after(seen)
                newest = self._newest_id
                events = await asyncio.to_thread(self._outbox.read, seen, _BATCH, key=key)
                for event in events:
                    yield event
                last = events[-1].id if events else seen
                seen = last if len(events) == _BATCH else max(last, newest)
        finally:
            self._leave()

    async def _news_after(self, seen: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self._newest_id > seen)

    def _arrive(self) -> None:
        self._followers += 1
        if self._watch is None:
            self._news = asyncio.Condition()
            self._watch = asyncio.create_task(self._keep_watch())

    def _leave(self) -> None:
        self._followers -= 1
        if not self._followers and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _keep_watch(self) -> None:
        """Tell the followers when there is a newer event; whatever goes wrong, the database is asked again."""
        while True:
            pause_s = self._poll_s
            try:
                with suppress(UnavailableError):
                    await self._look()
            except Exception:  # noqa: BLE001 -- the edge of a task: its end would leave the followers waiting
                pause_s *= _FAULT_PAUSE
                _LOG.exception("The newest event could not be asked for; it is asked for again in %g s.", pause_s)
            await asyncio.sleep(pause_s)

    async def _look(self) -> None:
        newest_id = await asyncio.to_thread(self._outbox.latest_id)
        if newest_id > self._newest_id:
            self._newest_id = newest_id
            async with self._news:
                self._news.notify_all()
