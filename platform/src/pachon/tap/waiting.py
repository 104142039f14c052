"""Long polls (UWS 1.1, section 2.2.1.1): a client waits for a job's phase to change, and holds no thread meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pachon.core.errors import UsageError
from pachon.queries.jobs.models import Job, JobPhase
from pachon.queries.jobs.storage import JOB_PHASE
from pachon.state.feed import Feed
from pachon.state.outbox import Outbox
from pachon.vo.dali import Parameters

MAX_WAIT_S = 60
_MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a change, seconds, and only while the job is in a phase, if one is given."""

    seconds: int = 0
    phase: JobPhase | None = None

    @classmethod
    def from_parameters(cls, given: Parameters) -> Patience:
        """Read WAIT, of which -1 and all that is over the limit mean the limit, and PHASE.

        Raises
        ------
        UsageError
            If one of them is wrong.
        """
        seconds = given.integer("WAIT", allowed=f"a whole number of seconds, or -1 for the longest ({MAX_WAIT_S})")
        phase = given.text("PHASE")
        longest = MAX_WAIT_S if seconds is None or seconds < 0 else min(seconds, MAX_WAIT_S)
        return cls(0 if seconds is None else longest, None if phase is None else phase_named(phase))

    def lasts(self, phase: JobPhase) -> bool:
        """Whether to wait at all."""
        return self.seconds > 0 and phase.is_waited_for and self.phase in {None, phase}


def phase_named(name: str) -> JobPhase:
    """A phase by its name in any case.

    Raises
    ------
    UsageError
        If there is none.
    """
    try:
        return JobPhase(name.upper())
    except ValueError:
        allowed = ", ".join(JobPhase)
        raise UsageError(f"PHASE '{name[:40]}' is not known; allowed are {allowed}.", parameter="PHASE") from None


class Waiters:
    """All who wait in one process; for its event loop.

    Parameters
    ----------
    max_waiting
        How many may wait at once; one more is answered at once, as the standard allows.
    """

    def __init__(self, feed: Feed, outbox: Outbox, *, max_waiting: int = _MAX_WAITING) -> None:
        self._feed = feed
        self._outbox = outbox
        self._max_waiting = max_waiting
        self._waiting = 0

    async def wait(
        self, read: Callable[[], Job], patience: Patience, *, until_gone: Callable[[], Awaitable[object]]
    ) -> Job:
        """The job when its phase has changed, when patience is over, or at once.

        Parameters
        ----------
        read
            Reads the job; blocks.
        until_gone
            Returns when the client is gone.
        """
        if patience.seconds == 0 or self._waiting >= self._max_waiting:
            return await asyncio.to_thread(read)
        after = await asyncio.to_thread(self._outbox.latest_id)
        job = await asyncio.to_thread(read)
        if not patience.lasts(job.phase):
            return job
        tasks = {asyncio.ensure_future(self._change(job, after)), asyncio.ensure_future(until_gone())}
        self._waiting += 1
        try:
            done, _ = await asyncio.wait(tasks, timeout=patience.seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._waiting -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return await asyncio.to_thread(read)

    async def _change(self, job: Job, after: int) -> None:
        """Return when the job is not in the phase any more in which it was."""
        async with aclosing(self._feed.follow(after, key=job.owner)) as events:
            async for event in events:
                if event.kind == JOB_PHASE and event.payload["id"] == job.id and event.payload["phase"] != job.phase:
                    return
