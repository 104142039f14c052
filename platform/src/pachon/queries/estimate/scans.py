"""What a scan reads and gives: row groups that survive, columns, and rows by place on the sky."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.core.healpix import SPATIAL_INDEX_ORDER, position_of
from pachon.queries.estimate.flow import Flow, filtered
from pachon.queries.estimate.models import Reading
from pachon.queries.estimate.statistics import TableStatistics
from pachon.queries.estimate.terms import columns_of, comparison
from pachon.queries.estimate.values import Evaluator, Frame, Oracle
from pachon.queries.plan import Call, Expression, IndexRanges, Op, Scan
from pachon.releases.models import Table

_PLACES = 2_048
_ENOUGH_IN_REGION = 200
_BORROWED_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class StoredScan:
    """A scan of a stored table with all that is asked of it alone.

    Parameters
    ----------
    columns
        Positions of the columns the plan uses.
    terms
        Terms that name this scan alone and must be true.
    """

    scan: Scan
    statistics: TableStatistics
    columns: frozenset[int]
    terms: tuple[Expression, ...]
    oracle: Oracle

    @property
    def table(self) -> Table:
        """The table read."""
        return self.scan.snapshot.table

    def flow(self) -> Flow:
        """The rows that pass the terms."""
        whole = self._whole()
        if self.scan.ranges is None:
            return filtered(whole, self.terms, self.oracle)
        covered = _meeting(
            np.stack([self.statistics.sample_places, self.statistics.sample_places + 1], 1), self.scan.ranges
        )
        near = whole.frame.take(np.flatnonzero(covered).astype(np.int64))
        if whole.complete or near.size >= _ENOUGH_IN_REGION:
            rows = whole.rows * near.size / max(whole.frame.size, 1)
            return filtered(replace(whole, rows=rows, frame=near), self.terms, self.oracle)
        positional, others = self._parted()
        return filtered(self._by_place(self.scan.ranges, positional, whole), others, self.oracle)

    def _whole(self) -> Flow:
        keys = {(self.scan.source, index): index for index in self.columns}
        columns = {key: self.statistics.sample(index) for key, index in keys.items()}
        origins = {key: (self.statistics, index) for key, index in keys.items()}
        frame = Frame(columns, self.statistics.sample_size)
        return Flow(float(self.statistics.row_count), frame, self.statistics.is_complete, 1.0, origins)

    def _parted(self) -> tuple[tuple[Expression, ...], tuple[Expression, ...]]:
        """Terms on the principal position alone, and the others."""
        places = {(self.scan.source, index) for index in self._position()}
        on_position = [set(columns_of(term)) <= places for term in self.terms]
        positional = tuple(term for term, yes in zip(self.terms, on_position, strict=True) if yes)
        return positional, tuple(term for term, yes in zip(self.terms, on_position, strict=True) if not yes)

    def _position(self) -> tuple[int, ...]:
        names = [column.name for column in self.table.columns]
        wanted = (self.table.ra_column, self.table.dec_column)
        return tuple(names.index(name) for name in wanted if name is not None)

    def _by_place(self, ranges: IndexRanges, positional: tuple[Expression, ...], whole: Flow) -> Flow:
        """Rows counted on the density map; rows of the sample stand for them, moved to places inside."""
        if not ranges:
            return replace(whole, rows=0.0, frame=whole.frame.take(np.empty(0, np.int64)), complete=True)
        ra_deg, dec_deg = position_of(self.statistics.places_in(ranges, _PLACES), order=SPATIAL_INDEX_ORDER)
        ra_key, dec_key = ((self.scan.source, index) for index in self._position())
        places = Frame({ra_key: pa.array(ra_deg), dec_key: pa.array(dec_deg)}, _PLACES)
        evaluator = Evaluator(places, self.oracle)
        inside = np.logical_and.reduce([evaluator.mask(term) for term in positional] or [np.ones(_PLACES, bool)])
        rows = self.statistics.count_in(ranges) * (int(inside.sum()) + 0.1) / _PLACES
        frame = _borrowed(whole.frame, places.take(np.flatnonzero(inside).astype(np.int64)))
        return replace(whole, rows=rows, frame=frame, spread=1.3 + 2.0 / math.sqrt(rows + 1.0))

    def reading(self, share: float) -> Reading:
        """What is read of files until a share of the rows has been found.

        The engine reads the columns of plain comparisons first, and the others only of row groups where a row is left.
        """
        alive = self._alive()
        pushed = tuple(term for term in self.terms if is_pushed(term))
        passing = filtered(self._whole(), pushed, self.oracle).rows if pushed else float(self.statistics.row_count)
        groups = int(alive.sum())
        if not groups:
            return Reading()
        rows, sizes = self.statistics.group_rows[alive], self.statistics.chunk_bytes[alive]
        if share < 1.0:
            groups = max(1, math.ceil(share * groups))
            rows, sizes = rows[:groups], sizes[:groups]
        first = {index for term in pushed for _, index in columns_of(term)} | self._spatial()
        later = sorted(self.columns - first)
        left = 1.0 if not pushed else 1.0 - float(np.exp(-passing / max(int(alive.sum()), 1)))
        size_bytes = float(sizes[:, sorted(first)].sum()) + left * float(sizes[:, later].sum())
        return Reading(float(rows.sum()), size_bytes)

    def _spatial(self) -> set[int]:
        return set() if self.scan.ranges is None else {len(self.statistics.columns) - 1}

    def _alive(self) -> NDArray[np.bool_]:
        """The row groups whose statistics do not rule them out."""
        alive = np.ones(len(self.statistics.group_rows), dtype=bool)
        if self.scan.ranges is not None:
            alive &= _meeting(self.statistics.spans, self.scan.ranges)
        for term in self.terms:
            alive &= self._may_hold(term)
        return alive

    def _may_hold(self, term: Expression) -> NDArray[np.bool_]:
        if isinstance(term, Call) and term.op is Op.OR:
            return np.asarray(np.logical_or.reduce([self._may_hold(each) for each in term.arguments]))
        if isinstance(term, Call) and term.op is Op.AND:
            return np.asarray(np.logical_and.reduce([self._may_hold(each) for each in term.arguments]))
        compared = comparison(term)
        every = np.ones(len(self.statistics.group_rows), dtype=bool)
        if compared is None or isinstance(compared.value, str):
            return every
        least = self.statistics.least[:, compared.column.index]
        greatest = self.statistics.greatest[:, compared.column.index]
        if compared.op in {Op.LT, Op.LE, Op.EQ}:
            every &= ~(least > compared.value)
        if compared.op in {Op.GT, Op.GE, Op.EQ}:
            every &= ~(greatest < compared.value)
        return every


def is_pushed(term: Expression) -> bool:
    """Whether the engine tests a term while it reads."""
    if not isinstance(term, Call):
        return False
    if term.op is Op.NOT:
        return is_pushed(term.arguments[0])
    if term.op in {Op.IS_NULL, Op.IN, Op.LIKE}:
        return len(set(columns_of(term))) == 1
    return comparison(term) is not None


def _meeting(spans: NDArray[np.int64], ranges: IndexRanges) -> NDArray[np.bool_]:
    if not ranges:
        return np.zeros(len(spans), dtype=bool)
    edges = np.array(ranges, dtype=np.int64)
    after = np.searchsorted(edges[:, 1], spans[:, 0], side="right")
    meets = after < len(edges)
    meets[meets] = edges[after[meets], 0] < spans[meets, 1]
    return np.asarray(meets)


def _borrowed(whole: Frame, places: Frame) -> Frame:
    """Rows of anywhere, moved to places of a region."""
    count = min(_BORROWED_ROWS, whole.size) if places.size else 0
    random = np.random.default_rng(3)
    moved = whole.take(random.integers(0, max(whole.size, 1), count))
    where = places.take(np.arange(count, dtype=np.int64) % max(places.size, 1))
    return Frame({**moved.columns, **{key: where.columns[key] for key in where.columns}}, count)
