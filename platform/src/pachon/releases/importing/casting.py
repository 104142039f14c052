"""Values of a file as values of a column: nothing is rounded, cut or guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.fields import DataType, Field
from pachon.releases.importing.models import Problem

if TYPE_CHECKING:
    from pachon.releases.importing.columns import Conversion

EXACT_INTEGERS = 2**53
"""Below this a double holds every integer (IEEE 754, 53 bits of significand); this one may stand for the next too."""
_NULLS = pa.array(["", "null", "nan", "na", "n/a", "none"])
_TRUE, _FALSE = pa.array(["true", "t", "1"]), pa.array(["false", "f", "0"])
_SHOWN_CHARS = 40


class _InexactError(ValueError):
    """A value that the type of the column cannot hold as it is."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Values of a column, null where they could not be cast, and the rows for which that is so."""

    values: pa.Array
    wrong_rows: tuple[int, ...]


def cast(values: pa.Array, field: Field, *, convert: Conversion | None = None) -> Cast:
    """Values of any accepted type, or texts, as values of a field.

    Parameters
    ----------
    convert
        Between units; the result may then be rounded to the type of the field.
    """
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    if pa.types.is_list(field.arrow_type):
        return _cast_lists(_as_lists(plain), field, convert)
    return _cast_some(plain, field, convert)


def _cast_some(values: pa.Array, field: Field, convert: Conversion | None) -> Cast:
    """All at once if that goes, else by halves until what is wrong stands alone."""
    try:
        return Cast(_exact(values, field, convert), ())
    except (pa.ArrowInvalid, _InexactError):
        if len(values) == 1:
            return Cast(pa.nulls(1, field.arrow_type), (0,))
    middle = len(values) // 2
    first, second = (_cast_some(half, field, convert) for half in (values[:middle], values[middle:]))
    wrong = (*first.wrong_rows, *(middle + row for row in second.wrong_rows))
    return Cast(pa.concat_arrays([first.values, second.values]), wrong)


def _exact(values: pa.Array, field: Field, convert: Conversion | None) -> pa.Array:
    """All values as they are.

    Raises
    ------
    pyarrow.ArrowInvalid, _InexactError
        If one cannot be.
    """
    if convert is not None:
        numbers = _exact(values, Field(name=field.name, datatype=DataType.DOUBLE), None)
        converted = pa.array(convert(numbers.to_numpy(zero_copy_only=False)), from_pandas=True)
        return converted.cast(field.arrow_type, safe=field.datatype.is_integer)
    if _is_text(values.type):
        return _from_text(values.cast(pa.string()), field)
    return _from_value(values, field)


def _is_text(found: pa.DataType) -> bool:
    return any(is_kind(found) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _from_value(values: pa.Array, field: Field) -> pa.Array:
    if not pa.types.is_floating(values.type):
        return _utc(values).cast(field.arrow_type)
    numbers = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    result = numbers.cast(field.arrow_type, safe=field.datatype.is_integer)
    if field.datatype.is_integer:
        _require(pc.less(pc.abs(numbers), float(EXACT_INTEGERS)))
    elif result.type != numbers.type:
        _require(pc.equal(result.cast(numbers.type), numbers))
    return result


def _utc(values: pa.Array) -> pa.Array:
    """Timestamps without a zone, which then are UTC."""
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        return values.cast(pa.timestamp(values.type.unit, "UTC")).cast(pa.timestamp(values.type.unit))
    return values


def _require(holds: pa.Array) -> None:
    if pc.all(holds).as_py() is False:
        raise _InexactError


def _from_text(texts: pa.Array, field: Field) -> pa.Array:
    if field.datatype is DataType.CHAR:
        return texts
    try:
        return _parse(texts, field)
    except (pa.ArrowInvalid, _InexactError):
        trimmed = pc.utf8_trim_whitespace(texts)
        is_null = pc.is_in(pc.utf8_lower(trimmed), value_set=_NULLS)
        return _parse(pc.if_else(is_null, pa.scalar(None, pa.string()), trimmed), field)


def _parse(texts: pa.Array, field: Field) -> pa.Array:
    match field.datatype:
        case DataType.BOOLEAN:
            lower = pc.utf8_lower(texts)
            is_true, is_false = (pc.is_in(lower, value_set=words) for words in (_TRUE, _FALSE))
            _require(pc.or_(pc.or_(is_true, is_false), pc.is_null(texts)))
            return pc.if_else(pc.is_null(texts), pa.scalar(None, pa.bool_()), is_true)
        case DataType.TIMESTAMP:
            return pc.replace_substring_regex(texts, pattern="[Zz]$", replacement="").cast(field.arrow_type)
        case DataType.FLOAT | DataType.DOUBLE:
            numbers = texts.cast(field.arrow_type)
            return pc.if_else(pc.is_nan(numbers), pa.scalar(None, numbers.type), numbers)
        case _:
            return _parse_integers(texts, field)


def _parse_integers(texts: pa.Array, field: Field) -> pa.Array:
    """Whole numbers; also such as `5.0`, as long as a double holds them."""
    try:
        return texts.cast(pa.int64()).cast(field.arrow_type)
    except pa.ArrowInvalid:
        return _from_value(texts.cast(pa.float64()), field)


def _as_lists(values: pa.Array) -> pa.Array:
    if _is_text(values.type):
        words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(values.cast(pa.string())))
        return pc.if_else(
            pc.equal(pc.utf8_trim_whitespace(values.cast(pa.string())), ""), pa.scalar(None, words.type), words
        )
    return values.cast(pa.list_(values.type.value_type))


def _cast_lists(lists: pa.Array, field: Field, convert: Conversion | None) -> Cast:
    """Each element like a scalar; a list is wrong if an element is, or if it has another length than the field."""
    element = Field(name=field.name, datatype=field.datatype)
    cast_elements = _cast_some(pc.list_flatten(lists), element, convert)
    parents = pc.list_parent_indices(lists).to_numpy()
    wrong = set(parents[list(cast_elements.wrong_rows)].tolist())
    lengths = pc.list_value_length(lists)
    size = _fixed_size(field)
    if size is not None:
        wrong |= set(
            np.flatnonzero(
                pc.fill_null(pc.not_equal(lengths, size), fill_value=False).to_numpy(zero_copy_only=False)
            ).tolist()
        )
    offsets = np.concatenate([[0], np.cumsum(pc.fill_null(lengths, 0).to_numpy())])
    mask = lists.is_null().to_numpy(zero_copy_only=False)
    mask[sorted(wrong)] = True
    result = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), cast_elements.values, mask=pa.array(mask))
    return Cast(result, tuple(sorted(wrong)))


def _fixed_size(field: Field) -> int | None:
    sizes = (field.arraysize or "*").split("x")
    return int(np.prod([int(size) for size in sizes])) if all(size.isdigit() for size in sizes) else None


def explain(value: object, field: Field) -> tuple[Problem, str]:
    """What is wrong with a value that could not be cast, and what to do."""
    shown = repr(value) if len(repr(value)) <= _SHOWN_CHARS else f"{repr(value)[:_SHOWN_CHARS]}..."
    if isinstance(value, list):
        return Problem.WRONG_VALUE, f"{shown} is not an array {field.datatype}[{field.arraysize}]."
    number = _number(value)
    is_large = number is not None and abs(number) >= EXACT_INTEGERS and not str(value).lstrip("+-").isdigit()
    if field.datatype.is_integer and is_large:
        message = f"{shown} was a floating-point number, which loses digits beyond 2^53; export it as a whole number."
        return Problem.LOST_DIGITS, message
    if field.datatype in {DataType.FLOAT, DataType.DOUBLE} and number is not None:
        message = f"{shown} has more digits than {field.datatype} holds; round it, or make the column a larger type."
        return Problem.WRONG_VALUE, message
    return Problem.WRONG_VALUE, f"{shown} is not a value of type {field.datatype}."


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
