"""Sends each query to the workers of its class, in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from pachon.queries.admission import Admission, Asker, Place
from pachon.queries.estimate.models import Estimate, Fate, Outlook, TimeClass
from pachon.queries.jobs.models import Job
from pachon.queries.line import ordinal, spoken_s
from pachon.queries.models import QueryLimits
from pachon.queries.service import Prepared

Prepare = Callable[[], Prepared]
"""Binds a query and finds its class; blocks."""


class Dispatcher:
    """Knows how busy each class of workers is. For one event loop, but for `occupy_for` and `outlook`.

    Parameters
    ----------
    admissions
        The turns of each class.
    binding
        The turns in which queries are bound and sorted into classes, before they wait for their class.
    limits
        Limits of one query.
    """

    def __init__(self, admissions: Mapping[TimeClass, Admission], binding: Admission, limits: QueryLimits) -> None:
        self.admissions = admissions
        self._binding = binding
        self._limits = limits
        self._threads = CapacityLimiter(binding.places)

    def turn(self, asker: Asker, prepare: Prepare) -> QueryTurn:
        """The turn of a query that is not bound yet."""
        return QueryTurn(self.admissions, self._binding, self._threads, asker, prepare)

    def occupy_for(self, job: Job) -> Callable[[], None]:
        """Take a turn of a job's class for it, at once; what is returned gives it back."""
        admission = self.admissions[job.time_class]
        return partial(admission.leave, admission.occupy(Asker.of(job.principal, "jobs"), job.expected_s))

    def outlook(self, asker: Asker, estimate: Estimate) -> Outlook:
        """Whether a query would run at once, wait, or has to be a job."""
        load = estimate.load
        if (reason := self._limits.too_long(load)) is not None and self._limits.outlasts_jobs(load):
            return Outlook(fate=Fate.REFUSE, explanation=reason)
        wait = self.admissions[estimate.time_class].wait(asker)
        line = f"it is {ordinal(max(wait.position, 1))} in line, with about {spoken_s(wait.seconds)} to wait"
        if reason is not None:
            explanation = f"{reason} As a job {line}."
        elif wait.position == 0:
            allowed = f"{self._limits.sync_timeout_s:g} s of a synchronous query"
            return Outlook(fate=Fate.RUN, explanation=f"It is expected to end within the {allowed}.")
        else:
            explanation = f"Turns of its class ({estimate.time_class}) are taken: {line}."
        return Outlook(fate=Fate.QUEUE, explanation=explanation, position=max(wait.position, 1), wait_s=wait.seconds)


class QueryTurn:
    """The turn of one query: it is bound in a short turn of its own, then it waits for the workers of its class."""

    def __init__(
        self,
        admissions: Mapping[TimeClass, Admission],
        binding: Admission,
        threads: CapacityLimiter,
        asker: Asker,
        prepare: Prepare,
    ) -> None:
        self._admissions = admissions
        self._binding = binding
        self._threads = threads
        self.asker = asker
        self._prepare = prepare
        self._held: tuple[Admission, Place] | None = None
        self._prepared: Prepared | None = None

    @property
    def prepared(self) -> Prepared:
        """The bound query, once the turn has begun."""
        if self._prepared is None:
            raise RuntimeError("a query is started before its turn")
        return self._prepared

    async def begin(self) -> None:
        """Bind the query and wait for its turn.

        Raises
        ------
        PachonError
            If the query is refused, or waited too long: names the limit and what helps.
        """
        place = await self._binding.enter(self.asker)
        try:
            prepared = await run_sync(self._prepare, limiter=self._threads)
        finally:
            self._binding.leave(place)
        admission = self._admissions[prepared.load.time_class]
        self._held = admission, await admission.enter(self.asker, prepared.load.seconds)
        self._prepared = replace(prepared, on_outgrown=partial(self._move, asyncio.get_running_loop()))

    def end(self) -> None:
        """Let the next query run. Safe to call more than once, before it began, and from any thread."""
        held, self._held = self._held, None
        if held is not None:
            admission, place = held
            admission.leave(place)

    def _move(self, loop: asyncio.AbstractEventLoop, time_class: TimeClass) -> None:
        loop.call_soon_threadsafe(self._hold, time_class)

    def _hold(self, time_class: TimeClass) -> None:
        """Hold a turn of a larger class instead, unless the turn has ended meanwhile."""
        if self._held is not None:
            self.end()
            admission = self._admissions[time_class]
            self._held = admission, admission.occupy(self.asker)
