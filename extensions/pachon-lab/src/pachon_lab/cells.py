"""The ADQL in a cell of a notebook."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass
from itertools import pairwise

from pachon_lab.errors import LabError

_MAGIC = re.compile(r"\A\s*%%adql\b[^\n]*\n?")
_QUERY = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:SELECT|WITH)\s", re.IGNORECASE)
_NOT_PYTHON = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the first line of a `%%adql` cell says of its query; empty or None where it says nothing.

    Parameters
    ----------
    release
        Of the tables that are named without one.
    name
        The query that it is saved as.
    max_rows
        Most rows to find.
    """

    release: str = ""
    name: str = ""
    max_rows: int | None = None


def options_of(source: str) -> Options:
    """The options of a cell; those that cannot be read are left out."""
    magic = _MAGIC.match(source)
    given: dict[str, str] = {}
    for word, after in pairwise([*_words(magic.group() if magic is not None else ""), ""]):
        name, is_joined, value = word.partition("=")
        given[name] = value if is_joined else after
    limit = given.get("--maxrec", "")
    max_rows = int(limit) if limit.isdecimal() else None
    return Options(release=given.get("--release", ""), name=given.get("--name", ""), max_rows=max_rows)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def adql_of(source: str) -> str:
    """The query in the text of a cell: of a `%%adql` cell, of a cell that is a query, or the first string that is one.

    Raises
    ------
    LabError
        There is none, or it is an f-string, whose values only the kernel knows.
    """
    magic = _MAGIC.match(source)
    if magic is not None:
        return _not_empty(source[magic.end() :])
    if _QUERY.match(source):
        return source.strip()
    return _in_strings(source)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise LabError("There is nothing below %%adql in this cell: write the query there.")
    return text.strip()


def _in_strings(source: str) -> str:
    try:
        tree = ast.parse(_NOT_PYTHON.sub(r"\1pass", source))
    except (SyntaxError, ValueError):
        tree = ast.Module([], [])
    has_values = False
    for node in _in_order(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _QUERY.match(node.value):
            return node.value.strip()
        has_values |= isinstance(node, ast.JoinedStr) and _begins_like_a_query(node)
    if has_values:
        raise LabError(
            "The query in this cell is an f-string, and its values are known to the kernel only: send its text."
        )
    raise LabError(
        "There is no ADQL in this cell: begin it with %%adql, or put a query that begins with SELECT into a string."
    )


def _in_order(tree: ast.AST) -> list[ast.Constant | ast.JoinedStr]:
    """Constants and f-strings as they stand in the text; what is inside an f-string is no string of its own."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    inside -= {id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr) and id(n) not in inside]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _begins_like_a_query(node: ast.JoinedStr) -> bool:
    first = node.values[0] if node.values else None
    return isinstance(first, ast.Constant) and _QUERY.match(f"{first.value!s} ") is not None
