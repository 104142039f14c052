"""Which column of a file becomes which column of a table: names, types and units, before any row is read."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
import pyarrow as pa

from pachon.core.fields import DataType, Field
from pachon.releases.hats.layout import SPATIAL_INDEX_COLUMN
from pachon.releases.importing.findings import Findings
from pachon.releases.importing.models import Finding, Problem, Source, SourceColumn
from pachon.releases.models import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Conversion = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """How a column of a table is filled.

    Parameters
    ----------
    source
        Name of the column in the file.
    is_required
        Whether a missing value is wrong.
    convert
        From the unit of the file to the unit of the schema, where these differ.
    """

    field: Field
    source: str
    is_required: bool
    convert: Conversion | None = None


def plan_columns(source: Source, table: Table, findings: Findings) -> tuple[ColumnPlan, ...]:
    """The plans for the columns of a table, in its order; what does not fit is added to the findings."""
    by_name = {column.name: column for column in source.columns}
    folded = {column.name.lower(): column for column in source.columns}
    wanted = tuple(column.field for column in table.columns)
    matched = {field.name: by_name.get(field.name) or folded.get(field.name.lower()) for field in wanted}
    used = {column.name for column in matched.values() if column is not None}
    for problem, name, message in _name_problems(source, wanted, matched, used):
        findings.add(Finding(problem=problem, file=source.path.name, column=name, message=message))
    plans = []
    for field in wanted:
        column = matched[field.name]
        if column is not None and _has_type(source, column, field, findings):
            plans.append(_plan(source, column, field, table, findings))
    return tuple(plans)


def _plan(source: Source, column: SourceColumn, field: Field, table: Table, findings: Findings) -> ColumnPlan:
    keys = {table.id_column, table.ra_column, table.dec_column, *table.primary_key}
    convert: Conversion | None = None
    try:
        convert = _conversion(source, column, field, _unit_of(field, table))
    except ValueError as error:
        problem, file = Problem.WRONG_UNIT, source.path.name
        findings.add(Finding(problem=problem, file=file, column=column.name, message=str(error)))
    return ColumnPlan(
        field=field, source=column.name, is_required=not field.nullable or field.name in keys, convert=convert
    )


def _name_problems(
    source: Source, wanted: tuple[Field, ...], matched: dict[str, SourceColumn | None], used: set[str]
) -> Iterator[tuple[Problem, str, str]]:
    unused = [column.name for column in source.columns if column.name not in {*used, SPATIAL_INDEX_COLUMN}]
    missing = [field.name for field in wanted if matched[field.name] is None]
    for name, times in Counter(column.name for column in source.columns).items():
        if times > 1:
            yield Problem.UNKNOWN_COLUMN, name, f"the file has {times} columns of this name, and only one can be meant."
    for name in missing:
        yield Problem.MISSING_COLUMN, name, f"the file has no such column{_nearest(name, unused)}."
    for name in unused:
        yield Problem.UNKNOWN_COLUMN, name, f"the schema has no such column{_nearest(name, missing)}."


def _nearest(name: str, others: list[str]) -> str:
    folded = {other.lower(): other for other in others}
    near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
    return f"; the nearest is {' or '.join(near)}" if near else ""


def _has_type(source: Source, column: SourceColumn, field: Field, findings: Findings) -> bool:
    if source.is_text or _accepts(column.type, field):
        return True
    message = (
        f"the file has {column.type}, the schema {field.datatype}{f'[{field.arraysize}]' if field.arraysize else ''}."
    )
    findings.add(Finding(problem=Problem.WRONG_TYPE, file=source.path.name, column=column.name, message=message))
    return False


def _accepts(found: pa.DataType, field: Field) -> bool:
    """Whether values of an Arrow type can be values of a field, each value being looked at later."""
    if pa.types.is_dictionary(found):
        return _accepts(found.value_type, field)
    if pa.types.is_list(field.arrow_type):
        is_list = pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found)
        return is_list and _accepts(found.value_type, Field(name=field.name, datatype=field.datatype))
    return any(is_kind(found) for is_kind in (pa.types.is_null, *_kinds(field.datatype)))


def _kinds(datatype: DataType) -> tuple[Callable[[pa.DataType], bool], ...]:
    """What the Arrow types are whose values can be of a datatype."""
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    if datatype.is_numeric:
        return pa.types.is_integer, pa.types.is_floating
    if datatype is DataType.BOOLEAN:
        return (pa.types.is_boolean,)
    return (pa.types.is_timestamp, pa.types.is_date, *texts) if datatype is DataType.TIMESTAMP else texts


def _unit_of(field: Field, table: Table) -> str | None:
    """The unit of a field; that of a position is the degree also where the schema does not say so."""
    is_position = field.name in {table.ra_column, table.dec_column}
    return field.unit or ("deg" if is_position else None)


def _conversion(source: Source, column: SourceColumn, field: Field, wanted: str | None) -> Conversion | None:
    """How to convert from the unit of the file to that of the schema; None if there is nothing to do.

    Raises
    ------
    ValueError
        If it cannot be done, with the sentence that says so.
    """
    said_nothing = column.unit is None and (wanted is None or not source.states_units)
    if column.unit == wanted or said_nothing or not field.datatype.is_numeric:
        return None
    found, meant = (f"'{unit}'" if unit else "none" for unit in (column.unit, wanted))
    try:
        return _between(u.Unit(column.unit or ""), u.Unit(wanted or ""))
    except (ValueError, TypeError):
        message = (
            f"the unit is {meant} in the schema and {found} in the file, which cannot be converted; write it there."
        )
        raise ValueError(message) from None


def _between(found: u.UnitBase, wanted: u.UnitBase) -> Conversion | None:
    """From one unit to another; raises ValueError (UnitConversionError is one) if they measure different things."""
    if found == wanted:
        return None
    found.to(wanted, 1.0)
    return lambda values: np.asarray(found.to(wanted, values), dtype=np.float64)
