"""Example queries over whatever is loaded (DALI 1.1, section 2.3), as data and as a page with RDFa."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from pachon.releases.models import Table
from pachon.tap.schema import query_name

_MAX_COLUMNS = 6
_CENTRE = "56.75, 24.12"


@dataclass(frozen=True, slots=True)
class Example:
    """A query that runs here, with a name unique on the page and a title for people."""

    id: str
    title: str
    adql: str


def examples(tables: Iterable[Table]) -> tuple[Example, ...]:
    """Examples for these tables; the list of tables itself is always among them."""
    given = tuple(tables)
    placed = [table for table in given if table.ra_column and table.dec_column]
    return (*(example for table in given for example in _table_examples(table)), *_sky_examples(placed), _LIST)


def page(shown: Iterable[Example], *, base_url: str) -> str:
    """The examples document: XHTML with RDFa in the vocabulary of DALI examples."""
    bodies = "".join(_section(example) for example in shown)
    return (
        '<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n<title>TAP examples</title>\n'
        f'<link rel="stylesheet" href="{base_url}/api/brand/tokens.css"/>\n'
        f'<link rel="stylesheet" href="{base_url}/api/brand/base.css"/>\n</head>\n'
        '<body vocab="http://www.ivoa.net/rdf/examples#">\n<main>\n<h1>TAP examples</h1>\n'
        f"<p>Each runs as it stands at <code>{escape(base_url)}/api/tap</code>.</p>\n{bodies}"
        "</main>\n</body>\n</html>\n"
    )


_LIST = Example(
    "tables",
    "Which tables are here",
    "SELECT table_name, description\nFROM tap_schema.tables\nORDER BY table_name",
)


def _table_examples(table: Table) -> Iterator[Example]:
    columns = ", ".join(query_name(column) for column in _columns(table))
    name = table.qualified_name
    yield Example(f"top-{name}", f"A look at {name}", f"SELECT TOP 10 {columns}\nFROM {name}")
    yield Example(f"count-{name}", f"How many rows {name} has", f"SELECT COUNT(*) AS n\nFROM {name}")
    if table.ra_column and table.dec_column:
        ra, dec = _position(table)
        inside = f"1 = CONTAINS(POINT('ICRS', {ra}, {dec}), CIRCLE('ICRS', {_CENTRE}, 1))"
        yield Example(
            f"cone-{name}",
            f"Rows of {name} within one degree of the Pleiades",
            f"SELECT TOP 100 {columns}\nFROM {name}\nWHERE {inside}",
        )


def _sky_examples(placed: list[Table]) -> Iterator[Example]:
    """What positions are good for: a histogram of the sky, and one table beside another."""
    for table in placed[:1]:
        name, (ra, dec) = table.qualified_name, _position(table)
        pixels = f"SELECT ivo_healpix_index(4, {ra}, {dec}) AS pixel FROM {name}"  # noqa: S608 -- names of the schema
        yield Example(
            "histogram",
            f"Rows of {name} in each HEALPix pixel of order 4",
            f"SELECT pixel, COUNT(*) AS n\nFROM ({pixels}) AS p\nGROUP BY pixel\nORDER BY n DESC",
        )
    for first, second in pairwise(placed[:2]):
        here, there = (f"POINT('ICRS', {alias}.{ra}, {alias}.{dec})" for alias, (ra, dec) in _aliased(first, second))
        yield Example(
            "crossmatch",
            f"Pairs of {first.qualified_name} and {second.qualified_name} within 2 arc seconds near the Pleiades",
            f"SELECT TOP 100 a.*, DISTANCE({here}, {there}) AS separation\n"
            f"FROM {first.qualified_name} AS a\nJOIN {second.qualified_name} AS b\n"
            f"ON DISTANCE({here}, {there}) < 2 / 3600.0\nWHERE 1 = CONTAINS({here}, CIRCLE('ICRS', {_CENTRE}, 2))",
        )


def _aliased(first: Table, second: Table) -> tuple[tuple[str, tuple[str, str]], ...]:
    return ("a", _position(first)), ("b", _position(second))


def _position(table: Table) -> tuple[str, str]:
    return query_name(table.ra_column or ""), query_name(table.dec_column or "")


def _columns(table: Table) -> list[str]:
    """The identifier, the position, and the first columns worth seeing."""
    first = [name for name in (table.id_column, table.ra_column, table.dec_column) if name]
    wanted = [column.name for column in table.columns if column.principal] + [column.name for column in table.columns]
    return list(dict.fromkeys([*first, *wanted]))[:_MAX_COLUMNS]


def _section(example: Example) -> str:
    return (
        f'<section id="{escape(example.id)}" resource="#{escape(example.id)}" typeof="example">\n'
        f'<h2 property="name">{escape(example.title)}</h2>\n'
        f'<pre property="query">{escape(example.adql)}</pre>\n</section>\n'
    )
