"""Who may run a query, or count a tile, now: turns are given fairly, so that one person's flood keeps nobody waiting.

A turn is waited for without a thread. Whoever asks has a queue of their own; a turn that comes free goes to the next
queue in a circle whose owner is below their limit. Anonymous visitors are told apart by their address, and share one
limit beside. Workers that jobs need are set aside: turns are given to the others.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from pachon.core.errors import UnavailableError
from pachon.identity.models import Principal

_IPV6_SITE_BITS = 64
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """How many queries, or things of another kind, may run and wait.

    Parameters
    ----------
    running
        Queries that run at once: the number of workers.
    running_per_person
        Of these, those of one person (or one address).
    running_anonymous
        Of these, those of all anonymous visitors together.
    left_to_others
        Of these, those that neither one person nor all anonymous visitors may take; one is open to them always.
    waiting
        Queries that may wait.
    waiting_per_person
        Of these, those of one person (or one address).
    timeout_s
        How long a query may wait.
    kind, kinds
        What turns are given for, in messages.
    """

    running: int = 3
    running_per_person: int = 2
    running_anonymous: int = 2
    left_to_others: int = 1
    waiting: int = 200
    waiting_per_person: int = 50
    timeout_s: float = 10
    kind: str = "query"
    kinds: str = "queries"


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a query waits: a person by name, an anonymous visitor by address."""

    key: str
    is_anonymous: bool

    @classmethod
    def of(cls, principal: Principal, address: str) -> Asker:
        """Who asks; IPv6 addresses count by their /64 network, which one site owns whole."""
        if not principal.is_anonymous:
            return cls(f"person {principal.name}", is_anonymous=False)
        return cls(f"address {_site(address)}", is_anonymous=True)


class Admission:
    """Gives turns. For one event loop, but for `set_aside`; nothing here blocks.

    Parameters
    ----------
    limits
        How many queries may run and wait.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()
        self._anonymous = 0
        self._queues: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._aside = 0
        self._aside_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def turn(self, asker: Asker) -> Turn:
        """A turn that has not begun."""
        return Turn(self, asker)

    async def enter(self, asker: Asker) -> None:
        """Wait until a query of this asker may run; `leave` must follow.

        Raises
        ------
        UnavailableError
            If too many wait already, or the wait was too long: names the limit and what helps.
        """
        if self._may_run(asker):
            self._count(asker, 1)
            return
        self._check_queues(asker)
        self._loop = asyncio.get_running_loop()
        waiting = _Waiting(asker, self._loop.create_future())
        self._queues.setdefault(asker.key, deque()).append(waiting)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                await waiting.admitted
        except TimeoutError:
            if not waiting.is_admitted:
                raise self._waited_in_vain(asker) from None
        except asyncio.CancelledError:
            if waiting.is_admitted:
                self.leave(asker)
            raise
        finally:
            self._forget(waiting)

    def leave(self, asker: Asker) -> None:
        """End a turn, and give it to the next who may run."""
        self._count(asker, -1)
        self._admit()

    def set_aside(self, workers: int) -> None:
        """Give so many turns fewer from now on (more, if negative): others need workers. From any thread."""
        with self._aside_lock:
            self._aside += workers
        if workers < 0 and self._queues and self._loop is not None:
            self._loop.call_soon_threadsafe(self._admit)

    @property
    def turns(self) -> int:
        """How many there are now; one at least, whatever is set aside."""
        return max(1, self._limits.running - self._aside)

    def _share(self, wanted: int) -> int:
        """As many turns as wanted, but those that are left to others, and one at least."""
        return max(1, min(wanted, self.turns - self._limits.left_to_others))

    def _admit(self) -> None:
        while (waiting := self._next()) is not None:
            self._count(waiting.asker, 1)
            waiting.admitted.set_result(None)
            self._forget(waiting)
            if waiting.asker.key in self._queues:
                self._queues.move_to_end(waiting.asker.key)

    def _may_run(self, asker: Asker) -> bool:
        limits = self._limits
        return (
            self._running.total() < self.turns
            and self._running[asker.key] < self._share(limits.running_per_person)
            and (not asker.is_anonymous or self._anonymous < self._share(limits.running_anonymous))
        )

    def _next(self) -> _Waiting | None:
        heads = (queue[0] for queue in self._queues.values())
        return next((waiting for waiting in heads if self._may_run(waiting.asker)), None)

    def _count(self, asker: Asker, change: int) -> None:
        self._running[asker.key] += change
        self._anonymous += change if asker.is_anonymous else 0
        if not self._running[asker.key]:
            del self._running[asker.key]

    def _forget(self, waiting: _Waiting) -> None:
        queue = self._queues.get(waiting.asker.key)
        if queue is not None and waiting in queue:
            queue.remove(waiting)
            if not queue:
                del self._queues[waiting.asker.key]

    def _check_queues(self, asker: Asker) -> None:
        limits = self._limits
        own = len(self._queues.get(asker.key, ()))
        if own >= limits.waiting_per_person:
            whose = f"{_whose(asker).capitalize()} {own} {limits.kinds}"
            message = f"{whose} waiting already, as many as one may: ask again when some have ended."
            raise UnavailableError(message, retry_after_s=_RETRY_AFTER_S)
        if sum(map(len, self._queues.values())) >= limits.waiting:
            whose = f"{limits.waiting} {limits.kinds} are"
            message = f"{whose} waiting already, as many as may: please try again in a minute."
            raise UnavailableError(message, retry_after_s=60)

    def _waited_in_vain(self, asker: Asker) -> UnavailableError:
        limits = self._limits
        own, anonymous = self._share(limits.running_per_person), self._share(limits.running_anonymous)
        if self._running[asker.key] >= own:
            why = f"{_whose(asker)} {own} running, as many as one may: wait for one to end, or give one up"
        elif asker.is_anonymous and self._anonymous >= anonymous:
            why = f"anonymous visitors have {anonymous} running, as many as they may together: log in, or try again"
        else:
            why = f"all {self.turns} turns of {limits.kinds} are taken: please try again in a few seconds"
        message = f"This {limits.kind} waited {limits.timeout_s:g} s and did not begin; {why}."
        return UnavailableError(message, retry_after_s=_RETRY_AFTER_S)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    asker: Asker
    admitted: asyncio.Future[None]

    @property
    def is_admitted(self) -> bool:
        return self.admitted.done() and not self.admitted.cancelled()


class Turn:
    """One turn, such as a query's: begun once, ended at least once."""

    def __init__(self, admission: Admission, asker: Asker) -> None:
        self._admission = admission
        self._asker = asker
        self._has_begun = False

    async def begin(self) -> None:
        """Wait for it: see `Admission.enter`."""
        await self._admission.enter(self._asker)
        self._has_begun = True

    def end(self) -> None:
        """Let the next query run. Safe to call more than once, and before it began."""
        if self._has_begun:
            self._has_begun = False
            self._admission.leave(self._asker)


def _whose(asker: Asker) -> str:
    return "your address has" if asker.is_anonymous else "you have"


def _site(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found, _IPV6_SITE_BITS), strict=False))
