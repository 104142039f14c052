"""Filters in words: what a person typed as a filter of a view state, and a filter as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from pachon.core.errors import UsageError
from pachon.core.row_filter import Value

_TITLES = {
    "=": "=", "!=": "\N{NOT EQUAL TO}", "<": "<", "<=": "\N{LESS-THAN OR EQUAL TO}", ">": ">",
    ">=": "\N{GREATER-THAN OR EQUAL TO}", "between": "between", "in": "is one of", "contains": "contains",
    "starts with": "starts with", "is null": "has no value", "is not null": "has a value",
}  # fmt: skip
_NULL = ("is null", "is not null")
_ORDERED = ("<", "<=", ">", ">=", "between", "=", "!=", "in", *_NULL)
_TEXTUAL = ("contains", "starts with", "=", "!=", "in", *_NULL)
_HINTS = {"between": "from, to", "in": "one, two, three"}
_TRUTHS = {"true": True, "false": False}
_SAFE_INTEGER = 2**53
_LONG_END = 2**63
_MOST_NAMED = 3
_LONGEST_WORD = 24


def operators_for(kind: pa.DataType) -> dict[str, str]:
    """Operators by what a person reads, for a column of an Arrow type; what is wanted most comes first."""
    if pa.types.is_nested(kind):
        found: tuple[str, ...] = _NULL
    elif pa.types.is_string(kind):
        found = _TEXTUAL
    elif pa.types.is_boolean(kind):
        found = ("=", *_NULL)
    else:
        found = _ORDERED
    return {_TITLES[op]: op for op in found}


def needs_value(op: str) -> bool:
    """Whether an operator compares with something."""
    return op not in _NULL


def hint_for(op: str, kind: pa.DataType) -> str:
    """What stands in the empty field."""
    if not needs_value(op):
        return "nothing to type"
    if op in _HINTS:
        return _HINTS[op]
    if pa.types.is_string(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "true or false"
    return "2026-11-25T23:00:00" if pa.types.is_timestamp(kind) else "a number"


def typed_filter(column: str, op: str, text: str, *, kind: pa.DataType) -> dict[str, Any]:
    """The filter of a view state that a person asks for.

    Parameters
    ----------
    kind
        Arrow type of the column.

    Raises
    ------
    UsageError
        If there is no such operator, or what was typed is not what the column holds.
    """
    if op not in operators_for(kind).values():
        known = ", ".join(operators_for(kind))
        raise UsageError(f"{column} cannot be filtered by '{op}'; it can by {known}.", parameter="filter")
    if not needs_value(op):
        return {"column": column, "op": op}
    parse = _reader(column, kind)
    if op not in _HINTS:
        return {"column": column, "op": op, "value": parse(text.strip())}
    values = [parse(part.strip()) for part in text.split(",")]
    if op == "between" and len(values) != 2:  # noqa: PLR2004 -- two ends
        message = (
            f"{column} between needs two values with a comma between them, such as 10, 12.5, not '{text.strip()}'."
        )
        raise UsageError(message, parameter="filter")
    return {"column": column, "op": op, "values": values}


def filter_words(document: Mapping[str, Any]) -> str:
    """A filter of a view state in a few words."""
    column, op = str(document["column"]), str(document["op"])
    title = _TITLES.get(op, op)
    values = list(document.get("values", ())) if op in _HINTS else [document.get("value")]
    if not needs_value(op):
        return f"{column} {title}"
    if op == "between":
        return f"{column} {title} {' and '.join(map(_word, values))}"
    more = f" and {len(values) - _MOST_NAMED:,} more" if len(values) > _MOST_NAMED else ""
    return f"{column} {title} {', '.join(map(_word, values[:_MOST_NAMED]))}{more}"


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    word = f"{value:.9g}" if isinstance(value, float) else str(value)
    return word if len(word) <= _LONGEST_WORD else word[:_LONGEST_WORD] + "\N{HORIZONTAL ELLIPSIS}"


def _reader(column: str, kind: pa.DataType) -> Callable[[str], Value]:
    """Reads one value of a column."""
    read, what = _read_number, "numbers, such as 12.5"
    if pa.types.is_string(kind):
        read, what = _read_text, "text; type some, or choose 'has no value'"
    elif pa.types.is_boolean(kind):
        read, what = _read_truth, "true or false"
    elif pa.types.is_timestamp(kind):
        read, what = _read_moment, "moments (UTC), such as 2026-11-25T23:00:00"

    def parse(text: str) -> Value:
        try:
            return read(text)
        except (ValueError, KeyError):
            raise UsageError(f"{column} holds {what}: '{text[:40]}' is none.", parameter="filter") from None

    return parse


def _read_number(text: str) -> Value:
    plain = text.replace("\N{MINUS SIGN}", "-")
    try:
        whole = int(plain)
    except ValueError:
        number = float(plain)
        if not math.isfinite(number):
            raise
        return number
    if not -_LONG_END <= whole < _LONG_END:
        return float(whole)
    return whole if abs(whole) <= _SAFE_INTEGER else str(whole)


def _read_text(text: str) -> Value:
    if not text:
        raise ValueError
    return text


def _read_truth(text: str) -> Value:
    return _TRUTHS[text.lower()]


def _read_moment(text: str) -> Value:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset():
        raise ValueError
    return moment.replace(tzinfo=None).isoformat()
