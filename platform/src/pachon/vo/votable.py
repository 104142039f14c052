"""VOTable 1.4 documents, written as they flow; what happened on the way stands after the last row."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import pyarrow as pa

from pachon.core.errors import PachonError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.vo import binary, cells, descriptors
from pachon.vo.columns import Column, is_ascii, is_text, seen_first, seen_whole
from pachon.vo.markup import element, text, written
from pachon.vo.models import Heading, Info, Rows
from pachon.vo.spool import spooled

MEDIA_TYPE = "application/x-votable+xml"

_OPENING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
)
_BASE64_GROUP = 3


def write_binary2(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """The document with its rows in BINARY2.

    A text is `unicodeChar` if its field says so: a schema does of free text (Felis `text` and `unicode`), and a query
    of texts that it computes. Of other texts the schema promises ASCII; if the first rows break the promise, the column
    is `unicodeChar` all the same. Should such letters come later only, they are written in ASCII, and an INFO after the
    rows names the column.
    """
    yield from _flowing(rows, heading, _BINARY2)


def write_tabledata(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """The document with its rows in TABLEDATA, which every reader understands."""
    yield from _flowing(rows, heading, _TABLEDATA)


def write_binary(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """The document with its rows in BINARY, for readers that do not know BINARY2.

    It has no null flags: integer columns with nulls declare a value for them that no row holds. Since that takes all
    rows, they wait on disk.
    """
    reading = _Reading(rows)
    with spooled(reading, arrow_schema(rows.fields)) as spool:
        columns = seen_whole(rows.fields, spool.facts)
        yield from _document(spool, columns, reading, heading, _BINARY)


def empty_document(fields: tuple[Field, ...], heading: Heading) -> str:
    """A document that describes a table and holds no rows."""
    return f"{_head(seen_first(fields, None), heading)}</TABLE>\n</RESOURCE>\n{_services(fields, heading)}</VOTABLE>\n"


def error_document(message: str, infos: tuple[Info, ...] = ()) -> str:
    """The document of a request that failed (DALI 1.1, section 4.2): QUERY_STATUS is ERROR, its text says why."""
    lines = "".join(_info(info) for info in (*infos, Info("QUERY_STATUS", "ERROR", message)))
    return f'{_OPENING}<RESOURCE type="results">\n{lines}</RESOURCE>\n</VOTABLE>\n'


def scs_error_document(message: str) -> str:
    """The document of a failed cone search (Simple Cone Search 1.03, section 2.3): an INFO named Error."""
    return f"{_OPENING}{_info(Info('Error', message))}</VOTABLE>\n"


def describe(field: Field) -> dict[str, str]:
    """The attributes under which a field travels: texts always vary in length, timestamps are texts."""
    is_text = field.datatype in {DataType.CHAR, DataType.TIMESTAMP}
    attributes = {
        "name": field.name,
        "datatype": _text_type(field) if is_text else field.datatype.value,
        "arraysize": _text_size(field) if is_text else field.arraysize,
        "xtype": "timestamp" if field.datatype is DataType.TIMESTAMP else field.xtype,
        "unit": field.unit,
        "ucd": field.ucd,
        "utype": field.utype,
        "description": field.description,
    }
    return {name: value for name, value in attributes.items() if value}


def _text_type(field: Field) -> str:
    return "unicodeChar" if field.is_unicode and field.datatype is DataType.CHAR else "char"


def _text_size(field: Field) -> str:
    bound = (field.arraysize or "").rstrip("*")
    return f"{bound}*" if bound not in {"", "1"} and field.datatype is DataType.CHAR else "*"


@dataclass(frozen=True, slots=True)
class _Serialization:
    """What stands around the rows, and how they are written."""

    opening: str
    write: Callable[[Iterable[pa.RecordBatch], tuple[Column, ...]], Iterator[bytes]]
    closing: str


@dataclass(slots=True)
class _Reading:
    """Batches up to the end or to a failure, which is kept for the end of the document."""

    rows: Rows
    narrow: tuple[int, ...] = ()
    """Numbers of the text columns that are written in ASCII."""
    error: PachonError | None = None
    changed: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self.rows.batches:
                self.changed |= {batch.schema.names[n] for n in self.narrow if not is_ascii(batch.column(n))}
                yield batch
        except PachonError as error:
            self.error = error

    def status(self) -> str:
        """The INFOs that follow the rows, if there is anything to say."""
        told = []
        if self.changed:
            told.append(Info("warning", ", ".join(sorted(self.changed)), _CHANGED))
        if self.error is not None:
            told.append(Info("QUERY_STATUS", "ERROR", self.error.message))
        elif self.rows.overflow:
            told.append(Info("QUERY_STATUS", "OVERFLOW", _OVERFLOW))
        return "".join(_info(info) for info in told)


def _flowing(rows: Rows, heading: Heading, serialization: _Serialization) -> Iterator[bytes]:
    """The document as its rows come; the first batch tells which texts are wide."""
    reading = _Reading(rows)
    flow = iter(reading)
    first = next(flow, None)
    columns = seen_first(rows.fields, first)
    if serialization is _BINARY2:
        reading.narrow = tuple(n for n, c in enumerate(columns) if is_text(c.field) and not c.is_unicode)
    batches = flow if first is None else chain((first,), flow)
    yield from _document(batches, columns, reading, heading, serialization)


def _document(
    batches: Iterable[pa.RecordBatch],
    columns: tuple[Column, ...],
    reading: _Reading,
    heading: Heading,
    serialization: _Serialization,
) -> Iterator[bytes]:
    """Head, rows, and at the end what became of them; a failure closes the document properly and says so."""
    fields = reading.rows.fields
    yield f"{_head(columns, heading)}<DATA>\n{serialization.opening}".encode()
    yield from serialization.write(cells.parts(batches), columns)
    closing = f"{serialization.closing}</DATA>\n</TABLE>\n{reading.status()}</RESOURCE>\n"
    yield f"{closing}{_services(fields, heading)}</VOTABLE>\n".encode()


def _base64_rows(
    batches: Iterable[pa.RecordBatch],
    columns: tuple[Column, ...],
    *,
    encode: Callable[[pa.RecordBatch, tuple[Column, ...]], bytes],
) -> Iterator[bytes]:
    """Binary rows in base64, in chunks of whole groups so that they join without padding."""
    rest = b""
    for batch in batches:
        data = rest + encode(batch, columns)
        whole = len(data) - len(data) % _BASE64_GROUP
        rest = data[whole:]
        yield binascii.b2a_base64(memoryview(data)[:whole], newline=False)
    yield binascii.b2a_base64(rest, newline=False)


def _table_rows(batches: Iterable[pa.RecordBatch], columns: tuple[Column, ...]) -> Iterator[bytes]:
    fields = tuple(column.field for column in columns)
    for batch in batches:
        yield cells.rows(batch, fields, cells=cells.xml, frame=("<TR><TD>", "</TD><TD>", "</TD></TR>\n"))


_STREAM = '<STREAM encoding="base64">\n', "\n</STREAM>\n"
_BINARY = _Serialization(
    f"<BINARY>\n{_STREAM[0]}", partial(_base64_rows, encode=binary.encode), f"{_STREAM[1]}</BINARY>\n"
)
_BINARY2 = _Serialization(
    f"<BINARY2>\n{_STREAM[0]}", partial(_base64_rows, encode=binary.encode2), f"{_STREAM[1]}</BINARY2>\n"
)
_TABLEDATA = _Serialization("<TABLEDATA>\n", _table_rows, "</TABLEDATA>\n")
_OVERFLOW = "There are more rows than the limit (MAXREC) allows."
_CHANGED = "Letters outside ASCII in these columns were replaced; TABLEDATA, CSV, JSON, Parquet and Arrow keep them."


def _head(columns: tuple[Column, ...], heading: Heading) -> str:
    """Everything up to and including the fields."""
    infos = "".join(_info(info) for info in (Info("QUERY_STATUS", "OK"), *heading.infos))
    about = element("DESCRIPTION", heading.description) if heading.description else ""
    fields = tuple(column.field for column in columns)
    ids = descriptors.identifiers(descriptors.usable(heading.services, fields), fields)
    described = "".join(_field(column, ids.get(column.field.name)) for column in columns)
    return f'{_OPENING}<RESOURCE type="results">\n{about}{infos}<TABLE>\n{described}'


def _services(fields: tuple[Field, ...], heading: Heading) -> str:
    """The descriptors of further services, each a RESOURCE of its own."""
    services = descriptors.usable(heading.services, fields)
    ids = descriptors.identifiers(services, fields)
    return "".join(descriptors.resource(service, ids) for service in services)


def _field(column: Column, xml_id: str | None) -> str:
    attributes = describe(column.field)
    description = attributes.pop("description", "")
    if xml_id is not None:
        attributes["ID"] = xml_id
    if column.is_unicode:
        attributes["datatype"] = "unicodeChar"
    content = f"<DESCRIPTION>{text(description)}</DESCRIPTION>" if description else ""
    if column.null is not None:
        content += f'<VALUES null="{column.null}"/>'
    return f"<FIELD{written(attributes)}>{content}</FIELD>\n" if content else f"<FIELD{written(attributes)}/>\n"


def _info(info: Info) -> str:
    start = f"<INFO{written({'name': info.name, 'value': info.value})}"
    return f"{start}>{text(info.text)}</INFO>\n" if info.text else f"{start}/>\n"
