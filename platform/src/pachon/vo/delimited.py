"""CSV (RFC 4180), TSV and JSON, written as the rows flow."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pachon.vo import cells, votable
from pachon.vo.cells import Cells
from pachon.vo.models import Heading, Rows


def write_csv(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """A line of names and a line a row. CSV has no word for an overflow."""
    del heading
    names = [
        f'"{field.name.replace(chr(34), 2 * chr(34))}"' if _needs_quotes(field.name) else field.name
        for field in rows.fields
    ]
    yield from _lines(rows, names, writer=cells.csv, separator=",", line_end="\r\n")


def write_tsv(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """A line of names and a line a row, separated by tabs."""
    del heading
    yield from _lines(rows, [field.name for field in rows.fields], writer=cells.tsv, separator="\t", line_end="\n")


def write_json(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """One object: `columns` (as in VOTable), `data` (an array a row) and `query_status` (OK or OVERFLOW)."""
    about: dict[str, str] = {}
    for info in heading.infos:
        about[info.name] = "\n".join(filter(None, (about.get(info.name), info.text or info.value)))
    columns = [votable.describe(field) for field in rows.fields]
    yield f'{{"info": {json.dumps(about)},\n"columns": {json.dumps(columns)},\n"data": ['.encode()
    between = b"\n"
    for batch in cells.parts(rows.batches):
        text = cells.rows(batch, rows.fields, cells=cells.json_value, frame=("[", ",", "],\n"))
        yield between + text[: -len(",\n")]
        between = b",\n"
    yield f'],\n"query_status": "{"OVERFLOW" if rows.overflow else "OK"}"}}\n'.encode()


def _lines(rows: Rows, names: list[str], *, writer: Cells, separator: str, line_end: str) -> Iterator[bytes]:
    yield (separator.join(names) + line_end).encode()
    for batch in cells.parts(rows.batches):
        yield cells.rows(batch, rows.fields, cells=writer, frame=("", separator, line_end))


def _needs_quotes(name: str) -> bool:
    return any(mark in name for mark in '",\r\n')
