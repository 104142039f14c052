"""UWS documents, against the schema of the standard that STILTS brings."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from lxml import etree

from pachon.core.errors import UsageError
from pachon.vo import uws
from pachon.vo.uws import JobDocument, ResultDocument

NOON = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
TROUBLE = 'a "b" <c> & \x00\x0b é'
ADDRESS = "https://example.org/tap/async/j1?a=1&b=2"
DONE = JobDocument(
    id="j1",
    address=ADDRESS,
    run_id=TROUBLE,
    owner=TROUBLE,
    phase="COMPLETED",
    created_at=NOON,
    started_at=NOON,
    ended_at=NOON,
    duration_s=60,
    destruction=NOON + timedelta(days=7),
    parameters=(("QUERY", TROUBLE), ("UPLOAD", "a"), ("UPLOAD", "b")),
    results=(ResultDocument(id="result", address=ADDRESS, media_type="text/csv;header=present"),),
)
FAILED = replace(DONE, phase="ERROR", results=(), error=TROUBLE)
NEW = replace(DONE, phase="PENDING", run_id=None, owner=None, started_at=None, ended_at=None, parameters=(), results=())
DOCUMENTS = {
    "done": uws.job(DONE),
    "failed": uws.job(FAILED),
    "new": uws.job(NEW),
    "list": uws.jobs((DONE, FAILED, NEW)),
    "empty list": uws.jobs(()),
    "parameters": uws.parameters(DONE),
    "results": uws.results(DONE),
}


STILTS_JAR = Path("/usr/share/java/starlink-ttools.jar")
UWS_SCHEMA = "uk/ac/starlink/ttools/taplint/UWS-v1.1.xsd"
XLINK = """<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
<attribute name="type" type="string"/><attribute name="href" type="anyURI"/></schema>"""
"""The part of the XLink schema that UWS uses."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    if not STILTS_JAR.exists():
        pytest.skip("STILTS is missing")
    folder = tmp_path_factory.mktemp("schema")
    with zipfile.ZipFile(STILTS_JAR) as jar:
        text = jar.read(UWS_SCHEMA).replace(b"http://www.ivoa.net/xml/Xlink/xlink.xsd", b"xlink.xsd")
    (folder / "uws.xsd").write_bytes(text)
    (folder / "xlink.xsd").write_text(XLINK)
    return etree.XMLSchema(etree.parse(folder / "uws.xsd"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_valid_by_the_schema(schema: etree.XMLSchema, name: str) -> None:
    schema.assertValid(etree.fromstring(DOCUMENTS[name].encode()))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_is_well_formed_and_versioned(name: str) -> None:
    root = etree.fromstring(DOCUMENTS[name].encode())
    assert etree.QName(root).namespace == "http://www.ivoa.net/xml/UWS/v1.0"
    assert root.get("version") == (None if name in {"parameters", "results"} else "1.1")


def test_texts_of_people_come_through_but_for_what_xml_forbids() -> None:
    root = etree.fromstring(DOCUMENTS["failed"].encode())
    shown = TROUBLE.replace("\x00", "\ufffd").replace("\x0b", "\ufffd")
    for place in ("runId", "ownerId", "errorSummary/{*}message", "parameters/{*}parameter"):
        assert root.findtext(f"{{*}}{place}") == shown
    (reference,) = etree.fromstring(uws.jobs((DONE,)).encode())
    assert reference.get("{http://www.w3.org/1999/xlink}href") == ADDRESS


def test_moments_are_told_in_utc_and_read_with_or_without_a_zone() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-4)))
    assert uws.moment(there) == "2026-11-25T12:00:00.123Z"
    for text in ("2026-11-25T12:00:00Z", "2026-11-25T12:00:00", "2026-11-25T08:00:00-04:00"):
        assert uws.parse_moment("AFTER", text) == NOON.replace(microsecond=0)
    with pytest.raises(UsageError, match=r"AFTER must be a moment such as .* not 'noon'") as caught:
        uws.parse_moment("AFTER", "noon")
    assert caught.value.parameter == "AFTER"
