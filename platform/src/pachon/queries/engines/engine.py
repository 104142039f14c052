"""What every engine promises: a typed plan in, Arrow batches out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from pachon.core.errors import UnavailableError
from pachon.queries.estimate.models import Load, TimeClass
from pachon.queries.plan import Op, Plan


class WorkersBusyError(UnavailableError):
    """No worker became free in time."""


class OutgrownError(UnavailableError):
    """A plan needs more than workers of its class give. It had no rows yet, so a larger class may run it.

    Parameters
    ----------
    load
        What it needs, where that is known; else the next larger class is tried.
    """

    def __init__(self, load: Load | None = None) -> None:
        super().__init__("The query is larger than expected; please try again.")
        self.load = load


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
        OutgrownError
            It belongs to a larger class.
        UsageError
            A value out of the range of its type.
        """
        ...

    def close(self) -> None:
        """Stop within a second, whatever the state; a worker that does not obey is ended.

        Safe from another thread, also while it waits for the first rows, and more than once.
        """
        ...


class Engine(Protocol):
    """Executes plans."""

    @property
    def operations(self) -> frozenset[Op]:
        """The operations this engine computes as the standard says."""
        ...

    def execute(self, plan: Plan, *, timeout_s: float, time_class: TimeClass = TimeClass.SHORT) -> Run:
        """Start a plan and return at once: rows, and what goes wrong, come while the run is read.

        Parameters
        ----------
        time_class
            The class of workers that runs it.

        Raises
        ------
        WorkersBusyError
            If no worker became free in time.
        UnavailableError
            If the worker ended.
        """
        ...

    def ready(self) -> bool:
        """Whether a worker is alive."""
        ...

    def broken(self) -> tuple[TimeClass, ...]:
        """The classes whose workers do not start, so that their queries cannot be answered."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...
