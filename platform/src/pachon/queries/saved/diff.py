"""What differs between two results: columns, row counts, and rows by key, with a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field
from pachon.queries.jobs.spool import SpooledRows

_MAX_BYTES = 256 * 1024**2
_SAMPLE = 20
_MAIN_ID = "meta.id;meta.main"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    """A column of both results that is described differently."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDiff:
    """What differs, from an old result to a new one.

    Parameters
    ----------
    row_counts
        Rows of the old and of the new one.
    key
        The column by which rows were matched; None if they were not.
    rows_added, rows_removed, rows_changed
        Counts, by key; None if rows were not matched.
    sample
        At most twenty changed rows: the key, and for each changed column the old and the new value.
    reason
        Why rows were not matched.
    """

    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_changed: tuple[ColumnChange, ...]
    row_counts: tuple[int, int]
    key: str | None = None
    rows_added: int | None = None
    rows_removed: int | None = None
    rows_changed: int | None = None
    sample: tuple[dict[str, Any], ...] = ()
    reason: str = ""


def compare(old: SpooledRows, new: SpooledRows, row_counts: tuple[int, int], *, key: str | None) -> ResultDiff:
    """Compare two results; rows are matched as long as both fit into 256 MiB.

    Parameters
    ----------
    row_counts
        Rows of both.
    key
        Column that tells rows apart; None for the main identifier, or else a column named `id` or `..._id`.

    Raises
    ------
    UsageError
        If the key is not a column of both, or two rows have the same.
    """
    before, after = ({field.name: field for field in rows.fields} for rows in (old, new))
    common = [name for name in before if name in after]
    found = ResultDiff(
        columns_added=tuple(name for name in after if name not in before),
        columns_removed=tuple(name for name in before if name not in after),
        columns_changed=tuple(
            ColumnChange(name=name, old=_kind(before[name]), new=_kind(after[name]))
            for name in common
            if _kind(before[name]) != _kind(after[name])
        ),
        row_counts=row_counts,
    )
    if key is not None and key not in common:
        raise UsageError(f"key '{key[:80]}' is not a column of both results; {_listed(common)}.", parameter="key")
    chosen = key or _main_key([before[name] for name in common])
    if chosen is None:
        return replace(found, reason="No column tells rows apart by its name: give key.")
    whole = _whole(old, common), _whole(new, common)
    if whole[0] is None or whole[1] is None:
        return replace(found, reason=f"Rows are compared up to {_MAX_BYTES // 1024**2} MiB a result.")
    return _matched(found, (whole[0], whole[1]), chosen, is_given=key is not None)


def _matched(found: ResultDiff, tables: tuple[pa.Table, pa.Table], key: str, *, is_given: bool) -> ResultDiff:
    old, new = tables
    keys = [table.column(key).combine_chunks() for table in (old, new)]
    if keys[0].type != keys[1].type or pa.types.is_list(keys[0].type):
        return replace(found, reason=f"The values of column '{key}' cannot be compared.")
    if any(pc.count_distinct(each, mode="all").as_py() != len(each) for each in keys):
        if is_given:
            raise UsageError(f"Several rows have the same '{key}'; give a key that tells rows apart.", parameter="key")
        return replace(found, reason=f"Several rows have the same '{key}': give key.")
    places = pc.index_in(keys[1], value_set=keys[0])
    both = new.filter(pc.is_valid(places))
    former = old.take(places.drop_null())
    names = [name for name in old.column_names if name != key]
    differs = {name: _differs(former.column(name), both.column(name)) for name in names}
    changed = np.zeros(both.num_rows, bool)
    for each in differs.values():
        changed |= each
    return replace(
        found,
        key=key,
        rows_added=places.null_count,
        rows_removed=old.num_rows - both.num_rows,
        rows_changed=int(changed.sum()),
        sample=tuple(_sample((former, both), key, differs, np.flatnonzero(changed)[:_SAMPLE])),
    )


def _sample(
    tables: tuple[pa.Table, pa.Table], key: str, differs: dict[str, np.ndarray[Any, Any]], places: np.ndarray[Any, Any]
) -> Iterator[dict[str, Any]]:
    old, new = tables
    for place in places.tolist():
        cells = {
            name: {"old": _told(old.column(name)[place]), "new": _told(new.column(name)[place])}
            for name, mask in differs.items()
            if mask[place]
        }
        yield {"key": _told(new.column(key)[place]), "columns": cells}


def _differs(old: pa.ChunkedArray, new: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Whether two values differ; two nulls and two NaN are the same."""
    if old.type != new.type or pa.types.is_nested(old.type):
        return np.array([one != two for one, two in zip(old.to_pylist(), new.to_pylist(), strict=True)], bool)
    same = pc.fill_null(pc.equal(old, new), False)  # noqa: FBT003 -- pyarrow's own signature
    same = pc.or_(same, pc.and_(pc.is_null(old, nan_is_null=True), pc.is_null(new, nan_is_null=True)))
    return ~np.asarray(same.to_numpy())


def _whole(rows: SpooledRows, names: list[str]) -> pa.Table | None:
    """All rows of some columns; None if they are too large."""
    batches, size_bytes = [], 0
    for batch in rows.batches:
        part = batch.select(names)
        size_bytes += part.nbytes
        if size_bytes > _MAX_BYTES:
            return None
        batches.append(part)
    fields = {field.name: field for field in rows.fields}
    return pa.Table.from_batches(batches, schema=pa.schema([(name, fields[name].arrow_type) for name in names]))


def _main_key(fields: list[Field]) -> str | None:
    main = [field.name for field in fields if (field.ucd or "").lower() == _MAIN_ID]
    named = [field.name for field in fields if field.name.lower() == "id" or field.name.lower().endswith("_id")]
    return next(iter((*main, *named)), None)


def _kind(field: Field) -> str:
    size = f"[{field.arraysize}]" if field.arraysize and field.datatype is not DataType.CHAR else ""
    return f"{field.datatype.value}{size}{f' in {field.unit}' if field.unit else ''}"


def _told(value: pa.Scalar) -> Any:  # noqa: ANN401 -- any JSON value
    """A value as JSON has it: 64-bit integers and moments as text, what is not finite as null."""
    plain = value.as_py()
    if isinstance(plain, float):
        return plain if np.isfinite(plain) else None
    if isinstance(plain, list):
        return [each if not isinstance(each, float) or np.isfinite(each) else None for each in plain]
    return plain if plain is None or isinstance(plain, bool | str) else str(plain)


def _listed(names: list[str]) -> str:
    return f"both have {', '.join(names[:20])}" if names else "they have none in common"
