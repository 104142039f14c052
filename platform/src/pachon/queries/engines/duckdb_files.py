"""Which files of a table a query block reads, and which ranges of the spatial index it filters by."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate, pairwise
from operator import itemgetter

from pachon.queries.engines.duckdb_functions import string_literal
from pachon.queries.engines.duckdb_near import INDEX_COLUMN
from pachon.queries.plan import IndexRanges, Relation, Scan, Select
from pachon.releases.hats.layout import index_range
from pachon.releases.models import Partition, Snapshot

_MAX_RANGE_TERMS = 6
"""Planning time grows with the terms of a filter; a handful already skips every row group worth skipping."""
_MIN_GAP_ROWS = 4_096
"""Reading so many rows in vain costs less than planning a further term."""


def as_far_as_needed(select: Select, limit: int | None) -> Relation:
    """The source of a query block; of rows that are taken as they come, only the first files that have enough."""
    scan = select.source
    is_as_it_comes = select.where is None and select.groups is None and not (select.distinct or select.order)
    if limit is None or not is_as_it_comes or not isinstance(scan, Scan) or not isinstance(scan.snapshot, Snapshot):
        return scan
    if scan.ranges is not None:
        return scan
    parts, wanted = scan.snapshot.partitions, limit + (select.offset or 0)
    rows_before = accumulate((part.row_count for part in parts), initial=0)
    needed = tuple(part for part, before in zip(parts, rows_before, strict=False) if before < wanted)
    return replace(scan, snapshot=replace(scan.snapshot, partitions=needed))


def paths_of(scan: Scan) -> tuple[str, ...]:
    """The files a scan of a stored table must open."""
    if not isinstance(scan.snapshot, Snapshot):
        return ()
    ranges = scan.ranges
    return tuple(str(part.path) for part in scan.snapshot.partitions if ranges is None or _overlaps(part, ranges))


def read_sql(paths: tuple[str, ...]) -> str:
    """A table function over files."""
    return f"read_parquet([{', '.join(map(string_literal, paths))}], hive_partitioning=false, union_by_name=false)"


def _overlaps(part: Partition, ranges: IndexRanges) -> bool:
    first, stop = index_range(part)
    place = bisect_right(ranges, first, key=itemgetter(1))
    return place < len(ranges) and ranges[place][0] < stop


def index_filter(scan: Scan, ranges: IndexRanges) -> str:
    """The condition that keeps the rows of a scan whose index is in ranges, and few others."""
    merged, index = _widest_gaps_kept(ranges, _wide_gap(scan)), f"s{scan.source}.{INDEX_COLUMN}"
    terms = [f"({index} >= {low} AND {index} < {high})" for low, high in merged]
    if len(terms) <= 1:
        return terms[0] if terms else "false"
    bounds = f"{index} >= {merged[0][0]} AND {index} < {merged[-1][1]}"
    return f"{bounds} AND ({' OR '.join(terms)})"


def _wide_gap(scan: Scan) -> float:
    """How wide a gap between ranges has to be to hold rows that are worth skipping, as the mean file is filled."""
    if not isinstance(scan.snapshot, Snapshot):
        return 0
    read = [part for part in scan.snapshot.partitions if scan.ranges is None or _overlaps(part, scan.ranges)]
    width = sum(stop - first for first, stop in map(index_range, read))
    return _MIN_GAP_ROWS * width / max(sum(part.row_count for part in read), 1)


def _widest_gaps_kept(ranges: IndexRanges, wide: float) -> IndexRanges:
    """Fewer, wider ranges that cover the same: only the widest gaps stay."""
    widths = {place: after[0] - before[1] for place, (before, after) in enumerate(pairwise(ranges), 1)}
    gaps = sorted((place for place in widths if widths[place] >= wide), key=widths.__getitem__, reverse=True)
    cuts = [0, *sorted(gaps[: _MAX_RANGE_TERMS - 1]), len(ranges)]
    return tuple((ranges[low][0], ranges[high - 1][1]) for low, high in pairwise(cuts) if low < high)
