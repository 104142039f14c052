"""What every engine promises: a typed plan in, Arrow batches out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

import pyarrow as pa

from pachon.core.errors import UnavailableError
from pachon.queries.plan import Op, Plan


class WorkersBusyError(UnavailableError):
    """No worker became free in time."""


class Stop:
    """Tells who runs a query to end it, also while its first rows are waited for. Set once, by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._to_call: list[Callable[[], None]] = []

    @property
    def is_set(self) -> bool:
        """Whether to end."""
        return self._is_set

    def set(self) -> None:
        """End it."""
        with self._lock:
            self._is_set = True
            to_call, self._to_call = self._to_call, []
        for act in to_call:
            act()

    def when_set(self, act: Callable[[], None]) -> None:
        """Have something called by `set`, at once if that was before."""
        with self._lock:
            is_late = self._is_set
            if not is_late:
                self._to_call.append(act)
        if is_late:
            act()


class Run(Protocol):
    """A running plan. Iterate it once; it must be closed."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches with the schema `core.fields.arrow_schema(plan.fields)`.

        One row more than `plan.max_rows` tells that there are more. An answer that cannot be completed ends with an
        error, never silently.

        Raises
        ------
        LimitError
            Over the time or memory of a query.
        UnavailableError
            The worker ended; the same query may succeed later.
        UsageError
            A value out of the range of its type.
        """
        ...

    def close(self) -> None:
        """Stop within a second, whatever the state. Safe from another thread, and more than once."""
        ...


class Engine(Protocol):
    """Executes plans."""

    @property
    def operations(self) -> frozenset[Op]:
        """The operations this engine computes as the standard says."""
        ...

    def execute(self, plan: Plan, *, timeout_s: float, stop: Stop | None = None) -> Run:
        """Start a plan; returns when the first rows are there or it is known that there are none.

        Told to stop, it ends within a second with `UnavailableError`.

        Raises
        ------
        WorkersBusyError
            If no worker became free in time.
        UnavailableError, LimitError, UsageError
            As `Run`.
        """
        ...

    def ready(self) -> bool:
        """Whether a worker is alive."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...
