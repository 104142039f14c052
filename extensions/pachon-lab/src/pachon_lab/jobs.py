"""Documents of UWS 1.1 as the platform answers them."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pachon_lab.errors import LabError

_UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReference:
    """A job in a list; `run_id` is the id of the saved query that it runs, if it runs one."""

    id: str
    phase: str
    run_id: str
    created_at: str


def references(document: str) -> tuple[JobReference, ...]:
    """The jobs of a list (UWS 1.1, section 2.2.2.1)."""
    return tuple(
        JobReference(
            id=each.get("id", ""),
            phase=each.findtext(f"{_UWS}phase", ""),
            run_id=each.findtext(f"{_UWS}runId", ""),
            created_at=each.findtext(f"{_UWS}creationTime", ""),
        )
        for each in _root(document).iter(f"{_UWS}jobref")
    )


def query_text(document: str) -> str:
    """What a job asks (TAP 1.1, section 2.7.1); empty if it was not told yet."""
    found = (each.text for each in _root(document).iter(f"{_UWS}parameter") if each.get("id", "").lower() == "query")
    return next(found, None) or ""


def _root(document: str) -> ET.Element:
    try:
        return ET.fromstring(document)  # noqa: S314 -- answered by the platform of this lab, expat bounds entities
    except ET.ParseError:
        raise LabError("The list of jobs that the platform sent cannot be read.", status=502) from None
