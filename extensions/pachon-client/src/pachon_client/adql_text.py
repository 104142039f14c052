"""ADQL as people write it in a cell: tables of one release by their short names, and places of mistakes."""

from __future__ import annotations

import re
from collections.abc import Collection

_PLACE = re.compile(r"line (\d+), column (\d+)")
_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/"
_WITH_NAME = re.compile(rf"{_QUOTED}|(?P<name>\w+)(?=\s+AS\s*\()", re.IGNORECASE | re.DOTALL)
_FROM = re.compile(
    rf"{_QUOTED}|(?P<word>\b(?:FROM|JOIN)\s+)(?P<name>[A-Za-z]\w*)(?!\w|\s*[.(])", re.IGNORECASE | re.DOTALL
)


def qualify(adql: str, release: str, tables: Collection[str]) -> str:
    """Put the release before tables that are named without one.

    Parameters
    ----------
    adql
        Text of a query.
    release
        Which release is meant.
    tables
        Qualified names (`release.table`) of its tables.

    Returns
    -------
    str
        The text with `release.` before each of its tables after FROM and JOIN; names of common table expressions,
        quoted names, strings and comments stay as they are, and lines keep their numbers.
    """
    defined = {match["name"].lower() for match in _WITH_NAME.finditer(adql) if match["name"]}
    short = {name.rpartition(".")[2].lower() for name in tables} - defined

    def replaced(match: re.Match[str]) -> str:
        is_ours = match["name"] is not None and match["name"].lower() in short
        return f"{match['word']}{release}.{match['name']}" if is_ours else match.group()

    return _FROM.sub(replaced, adql)


def pointed(message: str, adql: str) -> str:
    """A sentence of the server with the line of the query that it speaks of, and a caret below the place.

    Parameters
    ----------
    message
        What is wrong; without `line <n>, column <n>` (both from 1) it is returned as it is.
    adql
        The text that was sent.
    """
    place = _PLACE.search(message)
    lines = adql.splitlines()
    if place is None or not 1 <= int(place[1]) <= len(lines):
        return message
    number, column = int(place[1]), int(place[2])
    line = lines[number - 1]
    indent = "".join("\t" if letter == "\t" else " " for letter in line[: column - 1])
    return f"{message}\n\n{number:>4} | {line}\n     | {indent}^"
