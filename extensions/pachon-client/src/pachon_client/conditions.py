"""Filters and selections of a view state as one condition of ADQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pachon_client.errors import RequestError
from pachon_client.models import Column

_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_DIGITS = re.compile(r"-?\d+", re.ASCII)
_COMPARED = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WILD = frozenset("%_")


def condition_of(view: Mapping[str, Any], columns: Sequence[Column]) -> str:
    """What rows must fulfil to be shown: all filters and the selection; empty for no condition.

    Parameters
    ----------
    view
        A view state of schema 1; names in the condition are those of the result's columns.
    columns
        Columns of the result: identifiers that JSON has as digits are numbers where the column is one.

    Raises
    ------
    RequestError
        A polygon in the plane of two columns, or a search for a text with wild cards: ADQL has no words for them.
    """
    writer = _Writer(frozenset(column.name for column in columns if column.datatype.startswith(("int", "uint"))))
    terms = [writer.filter(each) for each in view.get("filters", ())]
    if view.get("selection"):
        terms.append(writer.selection(view["selection"]))
    return " AND ".join(terms)


class _Writer:
    def __init__(self, whole: frozenset[str]) -> None:
        self._whole = whole

    def filter(self, given: Mapping[str, Any]) -> str:
        column, op = given["column"], given["op"]
        if op in _COMPARED:
            return f"{_name(column)} {_COMPARED[op]} {self._literal(column, given['value'])}"
        if op == "between":
            return self._between(column, given["values"])
        if op == "in":
            return self._among(column, given["values"])
        if op in {"contains", "starts with"}:
            return f"LOWER({_name(column)}) LIKE {_pattern(given['value'], starts=op == 'starts with')}"
        return f"{_name(column)} {op.upper()}"

    def selection(self, given: Mapping[str, Any]) -> str:
        kind = given["kind"]
        if kind == "adql":
            return f"(\n{given['condition']}\n)"  # its last line may be a comment
        if kind == "box":
            return " AND ".join(self._between(given[axis], given[f"{axis}_range"]) for axis in "xy")
        if kind == "rows":
            return self._among(given["column"], given["values"])
        raise RequestError(f"A selection by a {kind} cannot be said in ADQL; result(shown=True) has the rows inside.")

    def _between(self, column: str, ends: Sequence[Any]) -> str:
        low, high = (self._literal(column, end) for end in self._sorted(column, ends))
        return f"{_name(column)} BETWEEN {low} AND {high}"

    def _among(self, column: str, values: Sequence[Any]) -> str:
        """Nothing is among no values, and nothing is equal to null."""
        written = [self._literal(column, value) for value in values if value is not None]
        return f"{_name(column)} IN ({', '.join(written)})" if written else "1 = 0"

    def _sorted(self, column: str, ends: Sequence[Any]) -> list[Any]:
        """The lower end first; digits are numbers where the column is one."""
        is_whole = column in self._whole
        return sorted(ends, key=lambda end: int(end) if is_whole and isinstance(end, str) else end)

    def _literal(self, column: str, value: Any) -> str:  # noqa: ANN401 -- any value of JSON
        if not isinstance(value, str) or (column in self._whole and _DIGITS.fullmatch(value)):
            return str(value)
        return _quoted(value)


def _pattern(text: str, *, starts: bool) -> str:
    if _WILD & set(text):
        raise RequestError(f"A search for {text!r} cannot be said in ADQL, where % and _ stand for any letters.")
    return _quoted(f"{'' if starts else '%'}{text.lower()}%")


def _name(column: str) -> str:
    return column if _PLAIN_NAME.fullmatch(column) else '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
