"""Who may run a query, or count a tile, now: turns are given fairly, so that one person's flood keeps nobody waiting.

A turn is waited for without a thread. Whoever asks has a queue of their own; a turn that comes free goes to the next
queue in a circle whose owner is below their limit. Anonymous visitors are told apart by their address, and share one
limit beside. Jobs take turns that they have chosen themselves: others get what is left.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from pachon.core.errors import UnavailableError
from pachon.identity.models import Principal
from pachon.queries.line import Wait, expected_wait_s, ordinal, remaining_s, spoken_s

_IPV6_SITE_BITS = 64
_RETRY_AFTER_S = 5
_MAX_RETRY_AFTER_S = 3_600
_PACE_MEMORY = 0.2
_PACE_RANGE = 0.1, 10.0


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
    advice
        What else who waited in vain may do: the end of a sentence.
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
    advice: str = ""


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
    """Gives turns. `enter` is for one event loop, all else for any thread; nothing here blocks.

    Parameters
    ----------
    limits
        How many queries may run and wait.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._lock = threading.RLock()
        self._places: dict[Place, float] = {}
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._pace = 1.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def turn(self, asker: Asker) -> Turn:
        """A turn that has not begun."""
        return Turn(self, asker)

    async def enter(self, asker: Asker, expected_s: float = 0.0) -> Place:
        """Wait until a query of this asker may run; `leave` must follow.

        Parameters
        ----------
        expected_s
            How long it is expected to run.

        Raises
        ------
        UnavailableError
            If too many wait already, or the wait was too long: names the limit and what helps.
        """
        with self._lock:
            place = Place(asker, expected_s)
            if self._may_run(asker):
                self._take(place)
                return place
            self._check_queues(asker)
            self._loop = asyncio.get_running_loop()
            waiting = _Waiting(place, self._loop.create_future())
            self._queues.setdefault(asker.key, deque()).append(waiting)
        await self._wait(waiting)
        return place

    def occupy(self, asker: Asker, expected_s: float = 0.0) -> Place:
        """Take a turn at once, whether one is free or not: others get fewer until `leave`."""
        place = Place(asker, expected_s)
        with self._lock:
            self._take(place)
        return place

    def leave(self, place: Place) -> None:
        """End a turn, and give it to the next who may run. Safe to call more than once."""
        with self._lock:
            began_at = self._places.pop(place, None)
            if began_at is None:
                return
            self._running[place.asker.key] -= 1
            if not self._running[place.asker.key]:
                del self._running[place.asker.key]
            self._learn(place, time.monotonic() - began_at)
            if self._queues and self._loop is not None:
                self._loop.call_soon_threadsafe(self._admit)

    def wait(self, asker: Asker) -> Wait:
        """What this asker would meet if they came now."""
        with self._lock:
            if self._may_run(asker):
                return Wait()
            return self._wait_behind(asker, list(self._queues.get(asker.key, ())))

    @property
    def places(self) -> int:
        """How many may run at once."""
        return self._limits.running

    async def _wait(self, waiting: _Waiting) -> None:
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                await waiting.admitted
        except TimeoutError:
            if not waiting.is_admitted:
                raise self._waited_in_vain(waiting) from None
        except asyncio.CancelledError:
            if waiting.is_admitted:
                self.leave(waiting.place)
            raise
        finally:
            self._forget(waiting)

    def _share(self, wanted: int) -> int:
        """As many turns as wanted, but those that are left to others, and one at least."""
        return max(1, min(wanted, self._limits.running - self._limits.left_to_others))

    def _admit(self) -> None:
        with self._lock:
            while (waiting := self._next()) is not None:
                self._take(waiting.place)
                waiting.admitted.set_result(None)
                self._forget(waiting)
                key = waiting.place.asker.key
                if key in self._queues:
                    self._queues.move_to_end(key)

    def _may_run(self, asker: Asker) -> bool:
        limits = self._limits
        return (
            self._running.total() < limits.running
            and self._running[asker.key] < self._share(limits.running_per_person)
            and (not asker.is_anonymous or self._anonymous < self._share(limits.running_anonymous))
        )

    @property
    def _anonymous(self) -> int:
        return sum(place.asker.is_anonymous for place in self._places)

    def _next(self) -> _Waiting | None:
        """The first in the circle who may run; who has given up in this very moment is passed over."""
        for queue in self._queues.values():
            head = next((waiting for waiting in queue if not waiting.admitted.done()), None)
            if head is not None and self._may_run(head.place.asker):
                return head
        return None

    def _take(self, place: Place) -> None:
        self._places[place] = time.monotonic()
        self._running[place.asker.key] += 1

    def _forget(self, waiting: _Waiting) -> None:
        with self._lock:
            key = waiting.place.asker.key
            queue = self._queues.get(key)
            if queue is not None and waiting in queue:
                queue.remove(waiting)
                if not queue:
                    del self._queues[key]

    def _learn(self, place: Place, took_s: float) -> None:
        """How much slower than expected queries run here, as a moving mean."""
        if place.expected_s > 0:
            least, most = _PACE_RANGE
            ratio = min(max(took_s / place.expected_s, least), most)
            self._pace += _PACE_MEMORY * (ratio - self._pace)

    def _wait_behind(self, asker: Asker, own: list[_Waiting]) -> Wait:
        """The place in line behind some of one's own: others go before as often as one does, in the circle.

        Who has as many running as they may waits for their own alone.
        """
        share = self._share(self._limits.running_per_person)
        is_own_fault = self._running[asker.key] >= share
        ahead, running = list(own), self._places
        if is_own_fault:
            running = {place: began for place, began in running.items() if place.asker.key == asker.key}
        else:
            others = (list(queue) for key, queue in self._queues.items() if key != asker.key)
            ahead += [waiting for queue in others for waiting in queue[: len(own) + 1]]
        now = time.monotonic()
        left = [remaining_s(place.expected_s * self._pace, now - began) for place, began in running.items()]
        costs = (waiting.place.expected_s * self._pace for waiting in ahead)
        places = share if is_own_fault else self._limits.running
        return Wait(len(ahead) + 1, expected_wait_s(left, costs, places=places))

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

    def _waited_in_vain(self, waiting: _Waiting) -> UnavailableError:
        limits, asker = self._limits, waiting.place.asker
        with self._lock:
            queue = list(self._queues.get(asker.key, ()))
            wait = self._wait_behind(asker, queue[: queue.index(waiting)] if waiting in queue else queue)
            own, anonymous = self._share(limits.running_per_person), self._share(limits.running_anonymous)
            if self._running[asker.key] >= own:
                why = f"{_whose(asker)} {own} running, as many as one may: wait for one to end, or give one up"
            elif asker.is_anonymous and self._anonymous >= anonymous:
                why = f"anonymous visitors have {anonymous} running, as many as they may together: log in, or try again"
            else:
                why = f"all {limits.running} turns of {limits.kinds} are taken: please try again in a few seconds"
        place = f"it is {ordinal(wait.position)} in line, with about {spoken_s(wait.seconds)} to wait"
        message = f"This {limits.kind} waited {limits.timeout_s:g} s and did not begin, {place}; {why}{limits.advice}."
        return UnavailableError(message, retry_after_s=_retry_after_s(wait.seconds))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A turn that runs or is waited for, and how long it is expected to take."""

    asker: Asker
    expected_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    place: Place
    admitted: asyncio.Future[None]

    @property
    def is_admitted(self) -> bool:
        return self.admitted.done() and not self.admitted.cancelled()


class Turn:
    """One turn, such as a tile's: begun once, ended at least once."""

    def __init__(self, admission: Admission, asker: Asker) -> None:
        self._admission = admission
        self._asker = asker
        self._place: Place | None = None

    async def begin(self) -> None:
        """Wait for it: see `Admission.enter`."""
        self._place = await self._admission.enter(self._asker)

    def end(self) -> None:
        """Let the next query run. Safe to call more than once, and before it began."""
        if self._place is not None:
            self._admission.leave(self._place)


def _retry_after_s(wait_s: float) -> int:
    return min(max(_RETRY_AFTER_S, math.ceil(wait_s)), _MAX_RETRY_AFTER_S)


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
