"""How many rows a join gives, and some of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.queries.estimate.flow import MOST_ROWS, Flow, filtered, literal_number
from pachon.queries.estimate.terms import FLIPPED, columns_of, key_pair
from pachon.queries.estimate.values import Evaluator, Frame, Oracle
from pachon.queries.plan import Call, Expression, JoinKind, Op

_PAIRS = 8_192
_FEWEST_PAIRS = 256
_PAIRED_VALUES = 400_000
_NEAR_ROWS = 1_024
_ENOUGH_PAIRS = 16
_WIDEST_DEG = 180.0
_COUNTERPARTS = 0.5
"""Rows of the smaller side that have a counterpart, when two catalogues are matched within arc seconds."""
_ARCSECONDS_DEG = 5.0 / 3600
_SAME_COSINE = 1 - 1e-15
_Pairs = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """A join.

    Parameters
    ----------
    pairs
        Pairs that have to be tried one by one; 0 if keys or order find them.
    """

    flow: Flow
    pairs: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sides:
    left: Flow
    right: Flow
    oracle: Oracle

    def oriented(self, term: Expression) -> tuple[Expression, Expression] | None:
        """Two sides that are equal, the one of the left flow first."""
        pair = key_pair(term)
        if pair is None:
            return None
        mine, other = (set(columns_of(side)) for side in pair)
        on_left, on_right = set(self.left.frame.columns), set(self.right.frame.columns)
        if mine and other and mine <= on_left and other <= on_right:
            return pair
        return pair[::-1] if mine and other and mine <= on_right and other <= on_left else None


def join(kind: JoinKind, sides: tuple[Flow, Flow], terms: tuple[Expression, ...], oracle: Oracle) -> Joined:
    """Join two flows on terms that must all be true.

    Keys meet by their domains (Selinger et al., SIGMOD 1979, section 4); distances by pairs of the samples; anything
    else is tried on random pairs.
    """
    both = _Sides(*sides, oracle)
    keys = [(term, pair) for term in terms if (pair := both.oriented(term)) is not None]
    rest = [term for term in terms if all(term is not found for found, _ in keys)]
    if keys:
        inner, pairs = _by_keys(both, [pair for _, pair in keys]), 0.0
    else:
        near = [(term, radius) for term in rest if (radius := _radius(term)) is not None]
        pairs = min(both.left.rows * both.right.rows, MOST_ROWS)
        inner = _paired(both, pairs)
        if near:
            inner = _near(both, near[0][0], near[0][1])
            rest = [term for term in rest if term is not near[0][0]]
    return Joined(_outer(kind, both, filtered(inner, tuple(rest), oracle)), pairs)


def _by_keys(sides: _Sides, keys: list[tuple[Expression, Expression]]) -> Flow:
    left, right = sides.left, sides.right
    share = 1.0
    for mine, other in keys:
        known = left.known_share(mine, sides.oracle) * right.known_share(other, sides.oracle)
        share *= known / max(left.domain(mine, sides.oracle), right.domain(other, sides.oracle))
    rows = left.rows * right.rows * share
    met = _matches(sides, *keys[0])
    if len(met[0]) < _ENOUGH_PAIRS:
        return _paired(sides, rows, spread=2.0)
    frame = Frame({**left.frame.take(met[0]).columns, **right.frame.take(met[1]).columns}, len(met[0]))
    if left.complete and right.complete and len(keys) == 1 and len(met[0]) < _PAIRS:
        return _both(sides, frame, float(frame.size), complete=True)
    return _both(sides, frame, rows, spread=2.0)


def _matches(sides: _Sides, mine: Expression, other: Expression) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of sample rows with equal keys, at most some thousand: their places on both sides."""
    left = Evaluator(sides.left.frame, sides.oracle).column(mine)
    right = Evaluator(sides.right.frame, sides.oracle).column(other)
    if left.type != right.type:
        left, right = left.cast(pa.float64(), safe=False), right.cast(pa.float64(), safe=False)
    codes = pa.chunked_array([left, right]).dictionary_encode().combine_chunks()
    numbers = np.asarray(codes.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    one, two = numbers[: len(left)], numbers[len(left) :]
    order = np.argsort(two, kind="stable")
    start = np.searchsorted(two[order], one, side="left")
    stop = np.searchsorted(two[order], one, side="right")
    counts = np.where(one < 0, 0, stop - start)
    until = int(np.searchsorted(np.cumsum(counts), _PAIRS, side="right")) + 1
    counts, start = counts[:until], start[:until]
    first = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, order[np.repeat(start, counts) + within] if len(first) else np.empty(0, np.int64)


def _paired(sides: _Sides, rows: float, *, spread: float = 1.0) -> Flow:
    """Random pairs of both samples."""
    left, right = sides.left.frame, sides.right.frame
    width = len(left.columns) + len(right.columns)
    count = max(min(_PAIRS, _PAIRED_VALUES // max(width, 1)), _FEWEST_PAIRS) if left.size and right.size else 0
    random = np.random.default_rng(5)
    one, two = (frame.take(random.integers(0, max(frame.size, 1), count)) for frame in (left, right))
    return _both(sides, Frame({**one.columns, **two.columns}, count), rows, spread=spread)


def _both(sides: _Sides, frame: Frame, rows: float, *, complete: bool = False, spread: float = 1.0) -> Flow:
    left, right = sides.left, sides.right
    return Flow(
        min(rows, MOST_ROWS), frame, complete, left.spread * right.spread * spread, {**left.origins, **right.origins}
    )


def _radius(term: Expression) -> float | None:
    """The distance below which two positions of a term must be, degrees."""
    if not isinstance(term, Call):
        return None
    if term.op is Op.IN_CIRCLE:
        return literal_number(term.arguments[4])
    if term.op not in FLIPPED or term.op is Op.EQ:
        return None
    close, far = term.arguments if term.op in {Op.LT, Op.LE} else term.arguments[::-1]
    is_distance = isinstance(close, Call) and close.op is Op.SEPARATION
    return literal_number(far) if is_distance else None


def _near(sides: _Sides, term: Expression, radius_deg: float) -> Flow:
    """Pairs within a distance: counted among sample rows within a wider one, where enough are found.

    A row that is in both samples is no measure of how close others are: it meets itself, whatever the distance.
    """
    left, right = sides.left, sides.right
    call = term
    if isinstance(term, Call) and term.op is not Op.IN_CIRCLE:
        call = next(each for each in term.arguments if isinstance(each, Call))
    assert isinstance(call, Call)  # noqa: S101 -- `_radius` has seen it
    one, two = _thinned(left.frame), _thinned(right.frame)
    cosine = _cosines(call, one, two, sides.oracle)
    if not cosine.size:
        return _paired(sides, 0.0, spread=10.0)
    same = cosine > _SAME_COSINE
    wider = max(radius_deg, 1e-7)
    while int((~same & (cosine >= math.cos(math.radians(wider)))).sum()) < _ENOUGH_PAIRS and wider < _WIDEST_DEG:
        wider = min(2 * wider, _WIDEST_DEG)
    close = ~same & (cosine >= math.cos(math.radians(wider)))
    thinner = _cap(radius_deg) / _cap(wider)
    rows = left.rows * right.rows * float(close.sum()) / cosine.size * thinner
    itself = min(left.rows, right.rows) if same.any() else 0.0
    if not itself and wider > radius_deg >= _ARCSECONDS_DEG / 25:
        rows += _COUNTERPARTS * min(left.rows, right.rows) * (radius_deg <= _ARCSECONDS_DEG)
    first, second = _mixed(np.nonzero(close), np.nonzero(same), share=itself / max(rows + itself, 1.0))
    rows += itself
    columns = {**one.take(first).columns, **two.take(second).columns}
    return _both(sides, Frame(columns, len(first)), rows, spread=2.0 if wider == radius_deg else 4.0)


def _mixed(close: _Pairs, same: _Pairs, *, share: float) -> _Pairs:
    """At most some thousand pairs, of which about a share are of rows with themselves."""
    wanted = _PAIRS if share >= 1 else round(len(close[0]) * share / (1 - share))
    alone = min(len(same[0]), wanted, _PAIRS // 2)
    others = len(close[0]) if alone == wanted else math.ceil(alone * (1 - share) / share)
    first, second = (np.concatenate([a[:alone], b[: min(others, _PAIRS)]]) for a, b in zip(same, close, strict=True))
    return first, second


def _cap(radius_deg: float) -> float:
    return math.sin(math.radians(min(radius_deg, _WIDEST_DEG)) / 2) ** 2


def _thinned(frame: Frame) -> Frame:
    if frame.size <= _NEAR_ROWS:
        return frame
    return frame.take(np.linspace(0, frame.size - 1, _NEAR_ROWS).astype(np.int64))


def _cosines(call: Call, one: Frame, two: Frame, oracle: Oracle) -> NDArray[np.float64]:
    """Cosines of the distances between all positions of both sides, shape (rows of one, rows of two)."""
    sides = []
    for pair in (call.arguments[:2], call.arguments[2:4]):
        frame = one if set(columns_of(pair[0])) <= set(one.columns) else two
        values = [Evaluator(frame, oracle).column(each).cast(pa.float64(), safe=False) for each in pair]
        ra, dec = (np.radians(value.to_numpy(zero_copy_only=False)) for value in values)
        sides.append((frame is one, np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)))
    sides.sort(key=lambda side: not side[0])
    return np.asarray(sides[0][1] @ sides[1][1].T)


def _outer(kind: JoinKind, sides: _Sides, inner: Flow) -> Flow:
    """The rows of an inner join, and those of the sides that stay without a partner."""
    if kind is JoinKind.INNER:
        return inner
    flow = inner
    if kind in {JoinKind.LEFT, JoinKind.FULL}:
        flow = _with_alone(flow, sides.left, sides.right, inner)
    if kind in {JoinKind.RIGHT, JoinKind.FULL}:
        flow = _with_alone(flow, sides.right, sides.left, inner)
    return flow


def _with_alone(flow: Flow, side: Flow, other: Flow, inner: Flow) -> Flow:
    """Add the rows of a side that no row of the other meets: one partner a row, unless there are more pairs."""
    met = inner.rows / max(side.rows, 1.0)
    many = inner.rows > 2 * other.rows
    alone = side.rows * (math.exp(-met) if many else max(1.0 - met, 0.0))
    total = flow.rows + alone
    count = _PAIRS // 2
    partnered = round(count * flow.rows / total) if total else 0
    partnered = partnered if flow.frame.size else 0
    random = np.random.default_rng(11)
    kept = flow.frame.take(random.integers(0, max(flow.frame.size, 1), partnered))
    lone = side.frame.take(random.integers(0, max(side.frame.size, 1), count - partnered if side.frame.size else 0))
    columns = {
        key: pa.concat_arrays([column, lone.columns[key] if key in lone.columns else pa.nulls(lone.size, column.type)])
        for key, column in kept.columns.items()
    }
    return replace(flow, rows=total, frame=Frame(columns, kept.size + lone.size), complete=False)
