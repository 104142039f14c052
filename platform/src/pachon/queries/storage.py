"""The promise of a store of executions; `sql_storage` keeps it in the state database."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from pachon.queries.models import Execution, Total

EXECUTION_ENDED = "execution.ended"
"""Kind of the event that every store publishes with an execution it adds.

Its key is the owner's name; its payload has `id`, `protocol`, `phase`, `client`, `row_count` and `overflow`.
"""


class ExecutionStore(Protocol):
    """Where ended executions are kept until their destruction. All methods block and are safe to call from threads.

    The owner of an anonymous run is the empty name: callers never list those to anybody.
    """

    def add(self, execution: Execution) -> None:
        """Keep an execution, add it to the totals and publish `EXECUTION_ENDED`, all or nothing.

        Raises
        ------
        ConflictError
            If an execution with this id is kept already.
        UnavailableError
            If the database does not answer (so do all other methods).
        """
        ...

    def get(self, owner: str, execution_id: str) -> Execution:
        """One execution of this owner.

        Raises
        ------
        NotFoundError
            If there is none, or it is another person's: both read the same.
        """
        ...

    def list(self, owner: str, *, limit: int, before_id: str | None = None) -> tuple[Execution, ...]:
        """At most `limit` executions of this owner, newest id first, older than `before_id` if it is given."""
        ...

    def totals(self, first: date, last: date) -> tuple[Total, ...]:
        """What all people together ran on each of some days, also what is forgotten since; oldest day first."""
        ...

    def forget(self, before: datetime) -> int:
        """Delete the executions whose destruction lies before a moment; returns how many."""
        ...
