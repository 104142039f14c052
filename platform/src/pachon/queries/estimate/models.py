"""Estimates and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pachon.queries.plan import Plan


class TimeClass(StrEnum):
    """How long a query will take; also the names of the classes of workers."""

    SHORT = "short"
    """Below a second: a region, an identifier, metadata."""
    SCAN = "scan"
    """Up to half a minute: whole columns, joins by key."""
    HEAVY = "heavy"
    """Longer, or every row paired with every other."""


class Confidence(StrEnum):
    """How an estimate was found."""

    EXACT = "exact"
    """Counted: every row that matters was at hand."""
    GOOD = "good"
    """Many rows of the sample decide it."""
    ROUGH = "rough"
    """Few rows of the sample, or assumptions, decide it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of files.

    Parameters
    ----------
    rows
        Rows of the row groups that cannot be left out.
    size_bytes
        Compressed size of the column chunks read.
    """

    rows: float = 0.0
    size_bytes: float = 0.0

    def __add__(self, other: Reading) -> Reading:
        return Reading(self.rows + other.rows, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan is expected to do.

    Parameters
    ----------
    rows
        Rows of the answer, MAXREC applied.
    rows_low, rows_high
        A range that is meant to hold the true number nine times of ten.
    overflow
        Whether the answer is expected to have more rows than MAXREC.
    rows_scanned, bytes_scanned
        As `Reading`.
    seconds
        Expected time on one worker.
    reasons
        What makes the query heavy, in sentences.
    """

    rows: int
    rows_low: int
    rows_high: int
    overflow: bool
    rows_scanned: int
    bytes_scanned: int
    seconds: float
    time_class: TimeClass
    confidence: Confidence
    tables: tuple[str, ...]
    reasons: tuple[str, ...] = ()


class Fate(StrEnum):
    """What would happen to a query now."""

    RUN = "run"
    QUEUE = "queue"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would happen to a query, and why."""

    fate: Fate
    explanation: str


class PlanClassifier(Protocol):
    """What admission needs to send a plan to the right workers; `EstimateService` keeps it."""

    def time_class(self, plan: Plan) -> TimeClass:
        """The class of workers that a plan belongs to."""
        ...

    def estimate_plan(self, plan: Plan) -> Estimate:
        """The same with all figures and the reasons."""
        ...
