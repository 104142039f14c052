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

    @property
    def larger(self) -> TimeClass:
        """The class where a plan goes that has outgrown this one; the largest has none but itself."""
        return TimeClass.SCAN if self is TimeClass.SHORT else TimeClass.HEAVY

    def exceeds(self, other: TimeClass) -> bool:
        """Whether queries of this class take longer than those of another."""
        order = tuple(TimeClass)
        return order.index(self) > order.index(other)


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


@dataclass(frozen=True, slots=True)
class Load:
    """What running a plan asks of a worker.

    Parameters
    ----------
    seconds
        Expected time.
    is_rough
        Whether that may be far off, so that nothing is refused because of it.
    reasons
        What makes the query heavy, in sentences.
    """

    time_class: TimeClass = TimeClass.SHORT
    seconds: float = 0.0
    is_rough: bool = False
    reasons: tuple[str, ...] = ()


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

    @property
    def load(self) -> Load:
        """What it asks of a worker; with reasons it is heavy for certain, however rough the figures are."""
        is_rough = self.confidence is Confidence.ROUGH and not self.reasons
        return Load(self.time_class, self.seconds, is_rough=is_rough, reasons=self.reasons)


class Fate(StrEnum):
    """What would happen to a query now."""

    RUN = "run"
    """It would begin at once."""
    QUEUE = "queue"
    """It would wait in line, as a job if it takes longer than a synchronous query may."""
    REFUSE = "refuse"
    """It takes longer than any job may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What would happen to a query, and why.

    Parameters
    ----------
    position
        Place in line, from 1; 0 if it would begin at once.
    wait_s
        Expected time until it begins.
    """

    fate: Fate
    explanation: str
    position: int = 0
    wait_s: float = 0.0


class PlanClassifier(Protocol):
    """What admission needs to send a plan to the right workers; `estimate.service.Estimator` keeps it."""

    def load(self, plan: Plan) -> Load:
        """What running a plan asks of a worker."""
        ...
