"""VOSI 1.1 documents: availability, capabilities (with TAPRegExt 1.0) and tables (VODataService 1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pachon.core.fields import Field
from pachon.vo import votable
from pachon.vo.formats import Format
from pachon.vo.markup import element

MEDIA_TYPE = "text/xml"

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_UPLOAD_METHODS = "".join(
    f'<uploadMethod ivo-id="ivo://ivoa.net/std/TAPRegExt#upload-{name}"/>\n' for name in ("inline", "http", "https")
)
_NAMESPACES = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:vr="http://www.ivoa.net/xml/VOResource/v1.0" '
    'xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" '
    'xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0" '
    'xmlns:vosi="http://www.ivoa.net/xml/VOSI{part}/v1.0" '
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column as metadata services tell it; `name` is as ADQL must write it."""

    name: str
    field: Field
    indexed: bool = False
    std: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key: (from, target) pairs of columns."""

    target_table: str
    columns: tuple[tuple[str, str], ...]
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDescription:
    """A table as metadata services tell it; `name` is qualified, and `row_count` None where rows depend on who asks."""

    name: str
    description: str
    columns: tuple[TableColumn, ...]
    references: tuple[Reference, ...] = ()
    row_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDescription:
    """A schema as metadata services tell it."""

    name: str
    title: str
    description: str
    tables: tuple[TableDescription, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """An optional part of a query language that is offered, under a feature type of TAPRegExt or ADQL 2.1."""

    type: str
    form: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapAbilities:
    """What a TAP service can do.

    Parameters
    ----------
    base_url
        Address of the service, without a trailing slash.
    features
        Optional parts of ADQL 2.1.
    default_rows, max_rows
        MAXREC when a request names none, and the largest.
    default_duration_s, max_duration_s
        How long a job may execute, seconds.
    default_retention_s, max_retention_s
        How long a job is kept, seconds.
    max_upload_rows, max_upload_bytes
        Size of one uploaded table.
    """

    base_url: str
    features: tuple[Feature, ...]
    formats: tuple[Format, ...]
    default_rows: int
    max_rows: int
    default_duration_s: int
    max_duration_s: int
    default_retention_s: int
    max_retention_s: int
    max_upload_rows: int
    max_upload_bytes: int


def availability(*, available: bool, up_since: datetime, notes: Sequence[str] = ()) -> str:
    """The availability document (VOSI 1.1, section 5)."""
    return (
        f'{_DECLARATION}<vosi:availability xmlns:vosi="http://www.ivoa.net/xml/VOSIAvailability/v1.0">\n'
        f"<vosi:available>{str(available).lower()}</vosi:available>\n"
        f"<vosi:upSince>{up_since:%Y-%m-%dT%H:%M:%SZ}</vosi:upSince>\n"
        f"{''.join(element('vosi:note', note) for note in notes)}</vosi:availability>\n"
    )


def tap_capabilities(tap: TapAbilities) -> str:
    """The capabilities document of a TAP service (TAP 1.1, section 2.4; TAPRegExt 1.0).

    No securityMethod is declared: clients learn from challenges that logging in is possible (IVOA AuthVO draft).
    """
    namespaces = _NAMESPACES.format(part="Capabilities")
    return (
        f"{_DECLARATION}<vosi:capabilities {namespaces}>\n"
        f"{_simple_capability('ivo://ivoa.net/std/VOSI#capabilities', f'{tap.base_url}/capabilities')}"
        f"{_simple_capability('ivo://ivoa.net/std/VOSI#availability', f'{tap.base_url}/availability')}"
        f"{_simple_capability('ivo://ivoa.net/std/VOSI#tables-1.1', f'{tap.base_url}/tables')}"
        f"{_simple_capability('ivo://ivoa.net/std/DALI#examples', f'{tap.base_url}/examples')}"
        f"{_table_access(tap)}</vosi:capabilities>\n"
    )


def tableset(schemas: Iterable[SchemaDescription], *, with_columns: bool) -> str:
    """The tables document (VOSI 1.1, section 4): all schemas, with or without columns (`detail=max|min`)."""
    body = "".join(_schema(schema, with_columns=with_columns) for schema in schemas)
    return f"{_DECLARATION}<vosi:tableset {_NAMESPACES.format(part='Tables')}>\n{body}</vosi:tableset>\n"


def table(description: TableDescription) -> str:
    """The document of one table, with its columns."""
    body = _table_body(description, with_columns=True)
    return f'{_DECLARATION}<vosi:table {_NAMESPACES.format(part="Tables")} type="table">\n{body}</vosi:table>\n'


def _simple_capability(standard_id: str, address: str) -> str:
    return f'<capability standardID="{standard_id}">\n{_interface(address, role="std", use="full")}</capability>\n'


def _interface(address: str, *, role: str, use: str) -> str:
    role_attribute = f' role="{role}"' if role else ""
    return (
        f'<interface xsi:type="vs:ParamHTTP"{role_attribute} version="1.1">\n'
        f"{element('accessURL', address, use=use)}</interface>\n"
    )


def _table_access(tap: TapAbilities) -> str:
    return (
        '<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">\n'
        f"{_interface(tap.base_url, role='std', use='base')}{_language(tap.features)}"
        f"{''.join(_output_format(form) for form in tap.formats)}"
        f"{_UPLOAD_METHODS}"
        f"{_times('retentionPeriod', tap.default_retention_s, tap.max_retention_s)}"
        f"{_times('executionDuration', tap.default_duration_s, tap.max_duration_s)}"
        f'<outputLimit>\n<default unit="row">{tap.default_rows}</default>\n'
        f'<hard unit="row">{tap.max_rows}</hard>\n</outputLimit>\n'
        f'<uploadLimit>\n<default unit="row">{tap.max_upload_rows}</default>\n'
        f'<hard unit="byte">{tap.max_upload_bytes}</hard>\n</uploadLimit>\n</capability>\n'
    )


def _times(name: str, default_s: int, hard_s: int) -> str:
    return f"<{name}>\n<default>{default_s}</default>\n<hard>{hard_s}</hard>\n</{name}>\n"


def _language(features: tuple[Feature, ...]) -> str:
    by_type: dict[str, list[Feature]] = {}
    for feature in features:
        by_type.setdefault(feature.type, []).append(feature)
    groups = "".join(_feature_group(kind, members) for kind, members in by_type.items())
    versions = "".join(
        f'<version ivo-id="ivo://ivoa.net/std/ADQL#v{version}">{version}</version>\n' for version in ("2.0", "2.1")
    )
    return f"<language>\n<name>ADQL</name>\n{versions}{groups}</language>\n"


def _feature_group(kind: str, members: list[Feature]) -> str:
    listed = "".join(
        f"<feature>\n{element('form', member.form)}"
        f"{element('description', member.description) if member.description else ''}</feature>\n"
        for member in members
    )
    return f'<languageFeatures type="{kind}">\n{listed}</languageFeatures>\n'


def _output_format(form: Format) -> str:
    aliases = "".join(element("alias", name) for name in form.names)
    return f"<outputFormat>\n{element('mime', form.media_type)}{aliases}</outputFormat>\n"


def _schema(schema: SchemaDescription, *, with_columns: bool) -> str:
    tables = "".join(
        f'<table type="table">\n{_table_body(member, with_columns=with_columns)}</table>\n' for member in schema.tables
    )
    about = {"name": schema.name, "title": schema.title, "description": schema.description}
    head = "".join(element(name, text) for name, text in about.items())
    return f"<schema>\n{head}{tables}</schema>\n"


def _table_body(description: TableDescription, *, with_columns: bool) -> str:
    body = element("name", description.name) + element("description", description.description)
    if description.row_count is not None:
        body += element("nrows", str(description.row_count))
    if not with_columns:
        return body
    columns = "".join(_column(column) for column in description.columns)
    return body + columns + "".join(_foreign_key(reference) for reference in description.references)


def _column(column: TableColumn) -> str:
    attributes = votable.describe(column.field) | {"name": column.name}
    texts = "".join(
        element(name, attributes[name])
        for name in ("name", "description", "unit", "ucd", "utype")
        if name in attributes
    )
    extra = {name: attributes[name] for name in ("arraysize",) if name in attributes}
    if "xtype" in attributes:
        extra["extendedType"] = attributes["xtype"]
    kind = element("dataType", attributes["datatype"], **{"xsi:type": "vs:VOTableType"}, **extra)
    flags = "".join(f"<flag>{flag}</flag>\n" for flag in ("indexed",) if column.indexed)
    std = ' std="true"' if column.std else ""
    return f"<column{std}>\n{texts}{kind}{flags}</column>\n"


def _foreign_key(reference: Reference) -> str:
    pairs = "".join(
        f"<fkColumn>\n{element('fromColumn', start)}{element('targetColumn', target)}</fkColumn>\n"
        for start, target in reference.columns
    )
    description = element("description", reference.description) if reference.description else ""
    target_table = element("targetTable", reference.target_table)
    return f"<foreignKey>\n{target_table}{pairs}{description}</foreignKey>\n"
