"""What a TAP service says of itself (VOSI 1.1, TAPRegExt 1.0)."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from pachon_client.models import Function

_UDF = "ivo://ivoa.net/std/TAPRegExt#features-udf"


def user_functions(capabilities: bytes) -> tuple[Function, ...]:
    """User-defined functions (TAPRegExt 1.0, section 2.3), sorted by their forms.

    Raises
    ------
    ValueError
        This is no document of capabilities.
    """
    try:
        root = ET.fromstring(capabilities)  # noqa: S314 -- answered by the platform the person pointed at
    except ET.ParseError as error:
        raise ValueError(str(error)) from None
    return tuple(sorted(_functions(root), key=lambda function: function.form))


def _functions(root: ET.Element) -> Iterator[Function]:
    for group in root.iter("languageFeatures"):
        for feature in group.iter("feature") if group.get("type") == _UDF else ():
            form, description = (" ".join((feature.findtext(name) or "").split()) for name in ("form", "description"))
            yield Function(form=form, description=description)
