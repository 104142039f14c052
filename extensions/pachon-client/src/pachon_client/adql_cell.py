"""What stands in a cell of ADQL around the cursor: the word, what kind of word it is, and the tables of the query."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pachon_client.adql_words import RESERVED

_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<comment>--[^\n]*)|(?P<text>'(?:[^']|'')*'?)"
    r'|(?P<word>"(?:[^"]|"")*"?|[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<sign>.)',
    re.DOTALL,
)
_MAGIC = re.compile(r"\A\s*%%adql\b[^\n]*")
_RELEASE = re.compile(r"\s--release[=\s]+(\S+)")
_PATH_BEFORE = re.compile(r"(?:\w+\.)*\w*\Z")
_WORD_AFTER = re.compile(r"\w*")
_CLAUSES = frozenset({"SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "ON", "USING"})
_LIST_TABLES = frozenset({"FROM", "ON", "USING"})
"""Clauses in which a comma is followed by a table."""


class Place(Enum):
    """What kind of word the cursor is at."""

    OPTION = "an option of the magic"
    RELEASE = "the value of --release"
    TABLE = "a table"
    VALUE = "a column, a function or a keyword"
    NOTHING = "text of one's own"


@dataclass(frozen=True, slots=True)
class Source:
    """A table of a query: `table` as it is written there, `name` by which columns are qualified."""

    table: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell that begins with `%%adql`, seen from the cursor.

    Parameters
    ----------
    place
        What the cursor is at.
    typed
        What stands before the cursor of the word there, with its qualifiers: `s.de`.
    word
        The whole word, with its qualifiers: `s.dec`.
    release
        Value of `--release`; empty without.
    sources
        Tables of the query.
    """

    place: Place
    typed: str
    word: str
    release: str
    sources: tuple[Source, ...]


def cell_at(text: str, offset: int) -> Cell | None:
    """Look at a cell from a place in it, counted in characters; None if it is no cell of ADQL."""
    magic = _MAGIC.match(text)
    if magic is None:
        return None
    release = _RELEASE.search(magic.group())
    offset = min(offset, len(text))
    before = text[:offset]
    is_below = offset > magic.end()
    typed = _before(before) if is_below else before.rpartition(" ")[2]
    after = _WORD_AFTER.match(text, offset)
    return Cell(
        place=_place(before[magic.end() :], typed) if is_below else _place_above(before),
        typed=typed,
        word=typed + (after.group() if after else ""),
        release=release[1] if release else "",
        sources=tuple(_sources(_words(text[magic.end() :]))),
    )


def _before(text: str) -> str:
    found = _PATH_BEFORE.search(text)
    return found.group() if found else ""


def _words(text: str) -> list[str]:
    """Words, signs and numbers; words in capitals where the language reserves them."""
    kept = ("word", "sign", "number")
    found = (match.group() for match in _TOKEN.finditer(text) if match.lastgroup in kept)
    return [word.upper() if word.upper() in RESERVED else word for word in found]


def _place_above(before: str) -> Place:
    """In the line of the magic."""
    return Place.RELEASE if before.split(" ")[-2:-1] == ["--release"] else Place.OPTION


def _place(before: str, typed: str) -> Place:
    last = None
    for found in _TOKEN.finditer(before):
        last = found
    if last is not None and _is_own_text(last.lastgroup, last.group(), typed):
        return Place.NOTHING
    words = _words(before[: len(before) - len(typed)])
    previous = words[-1] if words else ""
    if _comes_before_a_table(previous, _clauses(words)[-1] if words else ""):
        return Place.TABLE
    return Place.NOTHING if previous == "AS" else Place.VALUE


def _is_own_text(kind: str | None, text: str, typed: str) -> bool:
    """Whether the text ends inside a comment, a string, a quoted name or a number."""
    return kind in {"comment", "text", "number"} or text.startswith('"') or typed[:1].isdecimal()


def _comes_before_a_table(word: str, clause: str) -> bool:
    return word in {"FROM", "JOIN"} or (word == "," and clause in _LIST_TABLES)


def _clauses(words: list[str]) -> list[str]:
    """The clause that each word is in or begins; inside parentheses it is that of what they hold."""
    nested, found = [""], list[str]()
    for word in words:
        if word == "(":
            nested.append("")
        elif word == ")" and len(nested) > 1:
            nested.pop()
        elif word in _CLAUSES:
            nested[-1] = word
        found.append(nested[-1])
    return found


def _sources(words: list[str]) -> Iterator[Source]:
    """Tables after FROM and JOIN, and after commas between them; subqueries are met on the way."""
    for index, (word, clause) in enumerate(zip(words, _clauses(words), strict=True)):
        if _comes_before_a_table(word, clause):
            yield from _source(words[index + 1 : index + 6])


def _source(words: list[str]) -> Iterator[Source]:
    """The table at the beginning: `name`, `release.name`, with or without `AS alias`."""
    parts = words[:3] if words[1:2] == ["."] else words[:1]
    table = "".join(parts)
    rest = words[len(parts) :]
    if not table or not re.match(r"[\w\"]", table) or table in RESERVED:
        return
    alias = rest[1:2] if rest[:1] == ["AS"] else rest[:1]
    is_named = bool(alias) and alias[0] not in RESERVED and re.match(r"[A-Za-z_\"]", alias[0]) is not None
    yield Source(table, alias[0] if is_named else parts[-1])
