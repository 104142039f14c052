"""Service descriptors (DataLink 1.1, section 4): what can be asked further of each row of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pachon.core.fields import Field
from pachon.vo.markup import element, written
from pachon.vo.models import ServiceDescriptor, ServiceInput

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def usable(services: Iterable[ServiceDescriptor], fields: Iterable[Field]) -> tuple[ServiceDescriptor, ...]:
    """Those whose inputs refer to columns of the answer only."""
    names = {field.name for field in fields}
    return tuple(service for service in services if service.references <= names)


def identifiers(services: Iterable[ServiceDescriptor], fields: tuple[Field, ...]) -> dict[str, str]:
    """The XML ID of each column that a descriptor refers to; its name where that is one, since clients look there."""
    wanted = {name for service in services for name in service.references}
    numbered = {field.name: number for number, field in enumerate(fields) if field.name in wanted}
    return {name: name if _NAME.fullmatch(name) else f"column.{number}" for name, number in numbered.items()}


def resource(service: ServiceDescriptor, ids: dict[str, str]) -> str:
    """The RESOURCE of one descriptor."""
    known = {
        "accessURL": service.access_url,
        "standardID": service.standard_id,
        "resourceIdentifier": service.resource_id,
        "contentType": service.content_type,
    }
    params = "".join(_param(name, value) for name, value in known.items() if value)
    inputs = "".join(_input(given, ids) for given in service.inputs)
    named = written({"ID": service.id, "name": service.name} if service.name else {"ID": service.id})
    about = element("DESCRIPTION", service.description) if service.description else ""
    return (
        f'<RESOURCE type="meta" utype="adhoc:service"{named}>\n{about}{params}'
        f'<GROUP name="inputParams">\n{inputs}</GROUP>\n</RESOURCE>\n'
    )


def _param(name: str, value: str) -> str:
    return f"<PARAM{written({'name': name, 'datatype': 'char', 'arraysize': '*', 'value': value})}/>\n"


def _input(given: ServiceInput, ids: dict[str, str]) -> str:
    attributes = {
        "name": given.name,
        "datatype": given.datatype,
        "arraysize": given.arraysize,
        "unit": given.unit,
        "ucd": given.ucd,
        "ref": ids[given.column] if given.column else "",
    }
    kept = {key: value for key, value in attributes.items() if value}
    about = element("DESCRIPTION", given.description) if given.description else ""
    values = "".join(f"<OPTION{written({'value': option})}/>\n" for option in given.options)
    allowed = f"<VALUES>\n{values}</VALUES>\n" if values else ""
    return f"<PARAM{written(kept | {'value': given.value})}>\n{about}{allowed}</PARAM>\n"
