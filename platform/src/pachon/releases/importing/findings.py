"""Collects what is wrong with the files of an import, up to a number beyond which reading on helps nobody."""

from __future__ import annotations

from collections import Counter

from pachon.releases.importing.models import Finding, ImportFindingsError, Problem

LISTED = 20
GIVE_UP = 1_000


class Findings:
    """All findings are counted and the first are kept, at least one of each kind for every column."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._further: list[Finding] = []
        self._kinds: set[tuple[Problem, str, str | None]] = set()
        self._counts: Counter[Problem] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    @property
    def is_enough(self) -> bool:
        """Whether there are so many that the rest of the files need not be read."""
        return self._counts.total() >= GIVE_UP

    def add(self, finding: Finding) -> None:
        """Keep or count a finding."""
        kind = (finding.problem, finding.file, finding.column)
        kept = self._further if kind in self._kinds else self._kept
        if len(kept) < LISTED:
            kept.append(finding)
        self._kinds.add(kind)
        self._counts[finding.problem] += 1

    def raise_for(self, table: str) -> None:
        """Raise what was found, if anything.

        Raises
        ------
        ImportFindingsError
            With the findings.
        """
        if self:
            listed = (self._kept + self._further)[:LISTED]
            listed.sort(key=lambda finding: (finding.file, finding.row or 0))
            raise ImportFindingsError(table, tuple(listed), dict(self._counts))
