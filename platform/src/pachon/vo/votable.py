"""VOTable 1.4 documents, written as they flow; what happened on the way stands after the last row."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

import pyarrow as pa

from pachon.core.errors import PachonError
from pachon.core.fields import DataType, Field
from pachon.vo import binary2, cells
from pachon.vo.models import Heading, Info, Rows

MEDIA_TYPE = "application/x-votable+xml"

_OPENING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
)
_BASE64_GROUP = 3


def write_binary2(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """The document with its rows in BINARY2."""
    yield from _document(rows, heading, _BINARY2)


def write_tabledata(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """The document with its rows in TABLEDATA, which every reader understands."""
    yield from _document(rows, heading, _TABLEDATA)


def empty_document(fields: tuple[Field, ...], heading: Heading) -> str:
    """A document that describes a table and holds no rows."""
    return f"{_head(fields, heading)}</TABLE>\n</RESOURCE>\n</VOTABLE>\n"


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
        "datatype": "char" if is_text else field.datatype.value,
        "arraysize": _text_size(field) if is_text else field.arraysize,
        "xtype": "timestamp" if field.datatype is DataType.TIMESTAMP else field.xtype,
        "unit": field.unit,
        "ucd": field.ucd,
        "utype": field.utype,
        "description": field.description,
    }
    return {name: value for name, value in attributes.items() if value}


def _text_size(field: Field) -> str:
    bound = (field.arraysize or "").rstrip("*")
    return f"{bound}*" if bound not in {"", "1"} and field.datatype is DataType.CHAR else "*"


@dataclass(frozen=True, slots=True)
class _Serialization:
    """What stands around the rows, and how they are written."""

    opening: str
    write: Callable[[Iterable[pa.RecordBatch], tuple[Field, ...]], Iterator[bytes]]
    closing: str


@dataclass(slots=True)
class _Reading:
    """Batches up to the end or to a failure, which is kept for the end of the document."""

    rows: Rows
    error: PachonError | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from cells.parts(self.rows.batches)
        except PachonError as error:
            self.error = error

    def status(self) -> str:
        """The INFO that follows the rows, if there is anything to say."""
        if self.error is not None:
            return _info(Info("QUERY_STATUS", "ERROR", self.error.message))
        return _info(_OVERFLOW) if self.rows.overflow else ""


def _document(rows: Rows, heading: Heading, serialization: _Serialization) -> Iterator[bytes]:
    """Head, rows, and at the end what became of them; a failure closes the document properly and says so."""
    yield f"{_head(rows.fields, heading)}<DATA>\n{serialization.opening}".encode()
    reading = _Reading(rows)
    yield from serialization.write(reading, rows.fields)
    yield f"{serialization.closing}</DATA>\n</TABLE>\n{reading.status()}</RESOURCE>\n</VOTABLE>\n".encode()


def _base64_rows(batches: Iterable[pa.RecordBatch], fields: tuple[Field, ...]) -> Iterator[bytes]:
    """BINARY2 in base64, in chunks of whole groups so that they join without padding."""
    rest = b""
    for batch in batches:
        data = rest + binary2.encode(batch, fields)
        whole = len(data) - len(data) % _BASE64_GROUP
        rest = data[whole:]
        yield binascii.b2a_base64(memoryview(data)[:whole], newline=False)
    yield binascii.b2a_base64(rest, newline=False)


def _table_rows(batches: Iterable[pa.RecordBatch], fields: tuple[Field, ...]) -> Iterator[bytes]:
    for batch in batches:
        yield cells.rows(batch, fields, cells=cells.xml, frame=("<TR><TD>", "</TD><TD>", "</TD></TR>\n"))


_BINARY2 = _Serialization('<BINARY2>\n<STREAM encoding="base64">\n', _base64_rows, "\n</STREAM>\n</BINARY2>\n")
_TABLEDATA = _Serialization("<TABLEDATA>\n", _table_rows, "</TABLEDATA>\n")
_OVERFLOW = Info("QUERY_STATUS", "OVERFLOW", "There are more rows than the limit (MAXREC) allows.")


def _head(fields: Iterable[Field], heading: Heading) -> str:
    """Everything up to and including the fields."""
    infos = "".join(_info(info) for info in (Info("QUERY_STATUS", "OK"), *heading.infos))
    description = f"<DESCRIPTION>{_text(heading.description)}</DESCRIPTION>\n" if heading.description else ""
    columns = "".join(_field(field) for field in fields)
    return f'{_OPENING}<RESOURCE type="results">\n{description}{infos}<TABLE>\n{columns}'


def _field(field: Field) -> str:
    written = " ".join(f'{name}="{_text(value)}"' for name, value in describe(field).items() if name != "description")
    if not field.description:
        return f"<FIELD {written}/>\n"
    return f"<FIELD {written}><DESCRIPTION>{_text(field.description)}</DESCRIPTION></FIELD>\n"


def _info(info: Info) -> str:
    start = f'<INFO name="{_text(info.name)}" value="{_text(info.value)}"'
    return f"{start}>{_text(info.text)}</INFO>\n" if info.text else f"{start}/>\n"


def element(name: str, content: str, **attributes: str) -> str:
    """An XML element that holds a text; both are escaped."""
    written = "".join(f' {key}="{_text(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{_text(content)}</{name}>\n"


def _text(text: str) -> str:
    """Escaped for an attribute or an element, without characters that XML 1.0 forbids."""
    allowed = "".join(letter if letter >= " " or letter in "\t\n\r" else "\ufffd" for letter in text)
    return escape(allowed, quote=False).replace('"', "&quot;")
