"""Results of saved queries, for who may read today what they were made from."""

from __future__ import annotations

from dataclasses import replace

from pachon.core.errors import ForbiddenError, NotFoundError
from pachon.identity.models import Principal
from pachon.queries.saved.diff import ResultDiff, compare
from pachon.queries.saved.kept_results import KeptResults
from pachon.queries.saved.models import QueryRun, Version
from pachon.queries.saved.rows import Window, WindowRows
from pachon.queries.saved.selecting import AdqlSelector
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access

_NOT_RUN = "This version was never run."
_COMPLETED = "COMPLETED"
_UPLOADED = "tap_upload."


class ResultService:
    """Reads rows. Sharing a query never widens rights to data: they are asked each time, of each release it read.

    Parameters
    ----------
    results
        Where rows are kept.
    releases
        Says what may be read.
    selector
        Evaluates selections in ADQL.
    described
        Qualified names of tables that belong to no release: they tell each person what is there for them.
    """

    def __init__(
        self,
        results: KeptResults,
        releases: ReleaseService,
        selector: AdqlSelector,
        *,
        described: frozenset[str] = frozenset(),
    ) -> None:
        self._results = results
        self._releases = releases
        self._selector = selector
        self._described = described

    def refusal(self, principal: Principal, run: QueryRun | None) -> str | None:
        """Why this person may not know what a run found; None if they may.

        A run that has not ended has found nothing that could be hidden.
        """
        if run is None or not run.tables:
            return None
        named = {name for name in run.tables if not name.lower().startswith(_UPLOADED)}
        lost = self._releases.out_of_reach(principal, named - self._described, Access.QUERY)
        if lost:
            return f"What this result was made from is not yours to read: {', '.join(lost)}."
        missing = set(run.groups) - principal.groups
        if missing and self._described.intersection(run.tables):
            return f"This result was made for a member of {', '.join(sorted(missing))}; run the query yourself."
        return None

    def absence(self, principal: Principal, version: Version) -> str | None:
        """Why there are no rows of a version for this person; None if there are."""
        run = version.shown
        if run is None:
            return _NOT_RUN
        if (refusal := self.refusal(principal, run)) is not None:
            return refusal
        if run.phase != _COMPLETED:
            return run.error if run.is_over else f"The run is {run.phase}."
        return None if run.result_bytes is not None else run.error

    def rows(self, principal: Principal, version: Version, window: Window) -> WindowRows:
        """A part of the rows of a version; the caller closes them.

        Raises
        ------
        ForbiddenError
            If this person may not read all releases they were made from.
        NotFoundError
            If there are none.
        UsageError, LimitError
            If the window is not possible.
        """
        run = self._readable(principal, version)
        condition = window.condition
        if condition is not None and condition.adql is not None:
            selected = self._selector.rows(run.id, lambda: self._results.read(run), condition.adql)
            window = replace(window, condition=replace(condition, adql=None, rows=selected))
        return WindowRows(lambda: self._results.read(run), window)

    def compare(self, principal: Principal, old: Version, new: Version, *, key: str | None) -> ResultDiff:
        """What differs between the rows of two versions.

        Raises
        ------
        ForbiddenError, NotFoundError
            As `rows`.
        UsageError
            If the key is not possible.
        """
        before, after = (self._readable(principal, version) for version in (old, new))
        first = self._results.read(before)
        try:
            second = self._results.read(after)
            try:
                return compare(first, second, (before.row_count, after.row_count), key=key)
            finally:
                second.close()
        finally:
            first.close()

    def _readable(self, principal: Principal, version: Version) -> QueryRun:
        run = version.shown
        if (refusal := self.refusal(principal, run)) is not None:
            raise ForbiddenError(refusal)
        absence = self.absence(principal, version)
        if run is None or absence is not None:
            raise NotFoundError(f"Version {version.number} has no rows: {absence or _NOT_RUN}")
        return run
