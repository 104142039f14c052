"""The promises of the stores of saved queries and their runs; `sql_storage` and `sql_runs` keep them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from pachon.core.errors import NotFoundError
from pachon.identity.models import Principal
from pachon.queries.saved.models import QueryRun, SavedQuery, Share, Summary, Version, Wanted

QUERY_CHANGED = "query.changed"
"""Kind of the event that every store publishes with a change, in the same transaction.

One event for the owner and each person (key: their name), each group (`group_key`) and, if there are links or the query
is public, whoever looks at it (`query_key`). Its payload has `id`, `version`, `state`, `change` (the same for
all who are told of one change) and `what`: `created`, `edited`, `run`,
`shared`, `gone` (deleted, or not shared with this audience any more).
"""


def group_key(group: str) -> str:
    """Key of events for the members of a group. Names of people never hold a slash (JupyterHub)."""
    return f"group/{group}"


def query_key(query_id: str) -> str:
    """Key of events for whoever reads a query by a link, or because it is public."""
    return f"query/{query_id}"


def missing(query_id: str) -> NotFoundError:
    """The one sentence about a query that is not there, or not for whoever asks."""
    return NotFoundError(f"There is no query '{query_id[:80]}' that you may see.")


class SavedQueryStore(Protocol):
    """Where queries are kept. All methods block, may be called from threads, and may raise `UnavailableError`.

    The store knows no rights: it gives a query to whoever knows its id. `list` alone looks at who reads.
    """

    def add(self, query: SavedQuery, *, limit: int) -> None:
        """Keep a new query with its first version and that version's run.

        Raises
        ------
        LimitError
            If its owner keeps `limit` queries already.
        """
        ...

    def get(self, query_id: str) -> SavedQuery:
        """A query.

        Raises
        ------
        NotFoundError
            If there is none (so do all other methods that take an id).
        """
        ...

    def append(self, query_id: str, make: Callable[[SavedQuery], SavedQuery]) -> SavedQuery:
        """Replace a query by what `make` makes of it, with one version more; nobody else changes it meanwhile.

        What `make` raises leaves the query as it was.
        """
        ...

    def version(self, query_id: str, number: int) -> Version:
        """One version."""
        ...

    def versions(self, query_id: str, *, limit: int, before: int | None = None) -> tuple[Version, ...]:
        """At most `limit` versions, newest first, older than `before` if it is given."""
        ...

    def share(self, query_id: str, share: Share, *, limit: int) -> Share:
        """Share a query; a share of the same audience and name is replaced and keeps its id.

        Raises
        ------
        LimitError
            If there are `limit` shares already.
        """
        ...

    def unshare(self, query_id: str, share_id: str) -> None:
        """Take back a share."""
        ...

    def delete(self, query_id: str) -> None:
        """Forget a query, its versions, runs and shares."""
        ...

    def list(self, reader: Principal, wanted: Wanted, *, limit: int) -> tuple[Summary, ...]:
        """At most `limit` queries that are this person's or shared with them or their groups, newest change first."""
        ...


class QueryRunStore(Protocol):
    """Where runs of saved queries are kept; blocks, as `SavedQueryStore` does."""

    def add(self, run: QueryRun) -> None:
        """Keep a run as the newest of its version; the run before it whose rows are kept becomes its `former_id`.

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If the version has a run that has not ended; nobody else starts one meanwhile.
        """
        ...

    def change(self, run_id: str, edit: Callable[[QueryRun], QueryRun]) -> QueryRun:
        """Replace a run by what `edit` makes of it; nobody else changes it meanwhile."""
        ...

    def get(self, run_id: str) -> QueryRun:
        """A run."""
        ...

    def of_job(self, job_id: str) -> tuple[QueryRun, ...]:
        """The runs that a job is for."""
        ...

    def of_execution(self, owner: str, *, job_id: str | None, execution_id: str | None) -> str | None:
        """Id of a query of this owner that was made from a job or an execution; None if there is none."""
        ...

    def used_bytes(self, owner: str) -> int:
        """Size on disk of the results kept with the queries of this owner."""
        ...

    def has_version(self, run_id: str, *, besides: str = "") -> bool:
        """Whether a version points at a run, or at one whose `former_id` it is, but for the run `besides`."""
        ...

    def known(self, run_ids: Collection[str]) -> frozenset[str]:
        """Which of these runs there are."""
        ...
