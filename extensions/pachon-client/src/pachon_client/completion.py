"""Words that fit where the cursor is in a cell of ADQL, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pachon_client.adql_cell import Cell, Place
from pachon_client.adql_words import FUNCTIONS, KEYWORDS, RESERVED
from pachon_client.models import Column, Function, Table
from pachon_client.vocabulary import Vocabulary

_PLAIN_NAME = re.compile(r"[A-Za-z]\w*")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A word with its kind: `table`, `function`, `keyword`, or the type and unit of a column."""

    text: str
    kind: str


def suggest(cell: Cell, vocabulary: Vocabulary, options: Iterable[str] = ()) -> list[Suggestion]:
    """Words that can replace `cell.typed`, the likeliest first.

    Parameters
    ----------
    options
        Options of the magic.
    """
    found: Iterator[Suggestion]
    match cell.place:
        case Place.OPTION:
            found = (Suggestion(option, "option") for option in options if option.startswith(cell.typed))
        case Place.RELEASE:
            found = _releases(cell, vocabulary)
        case Place.TABLE:
            found = _tables(cell, vocabulary)
        case Place.VALUE:
            found = _values(cell, vocabulary)
        case Place.NOTHING:
            found = iter(())
    by_text = dict[str, Suggestion]()
    for suggestion in found:
        by_text.setdefault(suggestion.text, suggestion)
    return list(by_text.values())


def explain(cell: Cell, vocabulary: Vocabulary) -> str:
    """What the word at the cursor means; empty if it is none of the platform's."""
    if cell.place in {Place.OPTION, Place.RELEASE}:
        return ""
    word, by_name = cell.word.lower(), _named(vocabulary, cell.release)
    if word in by_name:
        return _about_table(by_name[word])
    qualifier, _, name = word.rpartition(".")
    for table in _sources(cell, vocabulary, qualifier):
        for column in table.columns:
            if _written(column).strip('"').lower() == name:
                return _about_column(column, table)
    return next((_about(function) for function in (*FUNCTIONS, *vocabulary.functions) if _is(function, word)), "")


def _releases(cell: Cell, vocabulary: Vocabulary) -> Iterator[Suggestion]:
    releases = sorted({_release(table) for table in vocabulary.tables})
    return (Suggestion(release, "release") for release in releases if _begins(release, cell.typed))


def _tables(cell: Cell, vocabulary: Vocabulary) -> Iterator[Suggestion]:
    """Those of the release of the cell by their short names, then all by their qualified ones."""
    for table in vocabulary.tables:
        release, _, short = table.name.partition(".")
        if release == cell.release and _begins(short, cell.typed):
            yield Suggestion(short, "table")
    for table in vocabulary.tables:
        if _begins(table.name, cell.typed) or _begins(table.name.partition(".")[2], cell.typed):
            yield Suggestion(table.name, "table")


def _values(cell: Cell, vocabulary: Vocabulary) -> Iterator[Suggestion]:
    qualifier, point, begun = cell.typed.rpartition(".")
    for table in _sources(cell, vocabulary, qualifier.lower()):
        for column in table.columns:
            if _begins(column.name, begun):
                yield Suggestion(f"{qualifier}{point}{_written(column)}", _kind(column))
    if point:
        return
    yield from (
        Suggestion(source.name, "table")
        for source in cell.sources
        if _begins(source.name, begun) and source.name.lower() != begun.lower()
    )
    for function in (*FUNCTIONS, *vocabulary.functions):
        if _begins(function.name, begun):
            yield Suggestion(_as_typed(function.name, begun), "function")
    yield from (Suggestion(_as_typed(word, begun), "keyword") for word in KEYWORDS if _begins(word, begun))


def _sources(cell: Cell, vocabulary: Vocabulary, qualifier: str) -> list[Table]:
    """Tables whose columns can stand there: those of the query, or the one that the qualifier names.

    Before the query names any they are those of the release of the cell.
    """
    by_name = _named(vocabulary, cell.release)
    if not qualifier:
        found = [by_name[source.table.lower()] for source in cell.sources if source.table.lower() in by_name]
        return found or [table for table in vocabulary.tables if _release(table) == cell.release and not cell.sources]
    wanted = {source.table.lower() for source in cell.sources if source.name.lower() == qualifier} or {qualifier}
    return [by_name[name] for name in wanted if name in by_name]


def _named(vocabulary: Vocabulary, release: str) -> dict[str, Table]:
    """Tables by what they are called in a cell, in small letters."""
    short = {table.name.partition(".")[2].lower(): table for table in vocabulary.tables if _release(table) == release}
    return short | {table.name.lower(): table for table in vocabulary.tables}


def _release(table: Table) -> str:
    return table.name.partition(".")[0]


def _begins(name: str, begun: str) -> bool:
    return name.lower().startswith(begun.lower())


def _is(function: Function, word: str) -> bool:
    return function.name.lower() == word


def _written(column: Column) -> str:
    """The name of a column as a query writes it (ADQL 2.1, section 2.1.3)."""
    is_plain = _PLAIN_NAME.fullmatch(column.name) and column.name.upper() not in RESERVED
    return column.name if is_plain or column.name.startswith('"') else '"{}"'.format(column.name.replace('"', '""'))


def _as_typed(word: str, begun: str) -> str:
    return word.lower() if begun.islower() else word


def _kind(column: Column) -> str:
    return f"{column.datatype} [{column.unit}]" if column.unit else column.datatype or "column"


def _about_table(table: Table) -> str:
    size = "" if table.row_count is None else f"{table.row_count:,} rows, "
    columns = ", ".join(column.name for column in table.columns if column.principal)
    main = f"Main columns: {columns}" if columns else ""
    lines = (f"{table.name}: {size}{len(table.columns)} columns", table.description, main)
    return "\n".join(line for line in lines if line)


def _about_column(column: Column, table: Table) -> str:
    ucd = f"UCD {column.ucd}" if column.ucd else ""
    lines = (f"{column.name}: {_kind(column)}", column.description, ucd, f"Column of {table.name}")
    return "\n".join(line for line in lines if line)


def _about(function: Function) -> str:
    return f"{function.form}\n{function.description}"
