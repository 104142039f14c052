"""From an object to its light curve, by the clients that offer it."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from pyvo.dal.adhoc import DatalinkQuery

from pachon.rights.models import Audience
from support.app import AS_HOLDER, Site, running_site
from support.curves import FIRST_OBJECT, publish_curves
from support.stilts import needs_stilts

ID = "light-curve.curves.detections.objectId"
WANTED = FIRST_OBJECT + 3


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("curves"))) as running:
        yield running


@pytest.fixture(scope="module")
def detections(site: Site) -> pa.Table:
    publish_curves(site.services.settings.releases_path, release_id="closed", audience=Audience.HOLDERS)
    return publish_curves(site.services.settings.releases_path)


def expected(detections: pa.Table, identifier: int) -> list[int]:
    mine = detections.filter(pc.equal(detections["objectId"], identifier)).sort_by("mjd")
    return list(mine["detectionId"].to_pylist())


def ask(site: Site, adql: str, **more: str) -> bytes:
    answer = site.client.post("/api/tap/sync", data={"LANG": "ADQL", "QUERY": adql, **more})
    assert answer.status_code == 200, answer.text
    return answer.content


def curve(site: Site, headers: dict[str, str] | None = None, **given: str | int) -> httpx.Response:
    asked = {"TABLE": "curves.detections", "COLUMN": "objectId", "ID": WANTED, "RESPONSEFORMAT": "arrow", **given}
    return site.client.get("/api/tap/light-curve", params=asked, headers=headers)


def offered(document: bytes) -> list[tuple[str, str]]:
    """Names of descriptors, and of the columns whose values they take."""
    found = parse(io.BytesIO(document))
    named = {field.ID: field.name for field in found.get_first_table().fields}
    return [
        (resource.ID, named[param.ref])
        for resource in found.resources
        if resource.utype == "adhoc:service"
        for group in resource.groups
        for param in group.entries
        if getattr(param, "ref", None)
    ]


def test_pyvo_goes_from_a_row_to_its_light_curve_in_order_of_time(
    site: Site, detections: pa.Table, session: requests.Session
) -> None:
    tap = pyvo.dal.TAPService(f"{site.url}/api/tap", session=session)
    adql = f"SELECT o.ra, o.objectId AS star FROM curves.objects AS o WHERE o.objectId = {WANTED}"

    for found in (tap.run_sync(adql), tap.run_async(adql)):
        (service,) = found.iter_adhocservices()
        assert service.ID == ID
        query = DatalinkQuery.from_resource(found[0], service)
        rows = parse(io.BytesIO(site.client.get(query.queryurl, params=dict(query)).content)).get_first_table().array
        assert [int(number) for number in rows["detectionId"]] == expected(detections, WANTED)


def test_pyvo_goes_from_a_cone_to_a_light_curve(site: Site, detections: pa.Table, session: requests.Session) -> None:
    found = pyvo.dal.SCSService(f"{site.url}/api/scs/curves.objects", session=session).search((10.5, 0), 2)

    (service,) = found.iter_adhocservices()
    query = DatalinkQuery.from_resource(found[5], service)
    rows = parse(io.BytesIO(site.client.get(query.queryurl, params=dict(query)).content)).get_first_table().array
    assert [int(number) for number in rows["detectionId"]] == expected(detections, int(found[5]["objectId"]))


@pytest.mark.usefixtures("detections")
@pytest.mark.parametrize(
    ("adql", "columns"),
    [
        ("SELECT TOP 1 * FROM curves.objects", ["objectId"]),
        ("SELECT TOP 1 a.objectId, b.objectId AS o FROM curves.objects AS a, curves.objects AS b", ["objectId", "o"]),
        ("WITH w AS (SELECT objectId AS n FROM curves.objects) SELECT s.n AS m FROM (SELECT n FROM w) AS s", ["m"]),
        ("SELECT objectId FROM curves.objects UNION SELECT objectId FROM curves.objects", ["objectId"]),
        ("SELECT objectId FROM curves.objects UNION SELECT detectionId FROM curves.detections", []),
        ("SELECT TOP 1 ra AS objectId FROM curves.objects", []),
        ("SELECT TOP 1 objectId + 1 AS objectId FROM curves.objects", []),
        ("SELECT MIN(objectId) AS objectId FROM curves.objects", []),
        ("SELECT TOP 1 objectId FROM curves.detections", []),
        ("SELECT TOP 1 id FROM sky.stars", []),
    ],
)  # fmt: skip
def test_a_light_curve_is_offered_where_the_answer_holds_the_identifier(
    site: Site, adql: str, columns: list[str]
) -> None:
    for form in ("votable", "votable/td", "votable/b"):
        assert [column for _, column in offered(ask(site, adql, RESPONSEFORMAT=form))] == columns


def test_a_light_curve_comes_in_the_format_asked_for_and_within_limits(site: Site, detections: pa.Table) -> None:
    wanted = expected(detections, WANTED)
    whole = pa.ipc.open_stream(curve(site).content).read_all()

    assert whole["detectionId"].to_pylist() == wanted
    assert len(curve(site, RESPONSEFORMAT="csv", MAXREC=2).text.split()) == 1 + 2
    assert pa.ipc.open_stream(curve(site, ID=1).content).read_all().num_rows == 0
    assert curve(site, table="CURVES.Detections", column="OBJECTID").content


@pytest.mark.usefixtures("detections")
@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({"ID": "1.5"}, 400, "ID must be a whole number, not '1.5'."),
        ({"ID": ""}, 400, "ID is missing: the identifier of the object."),
        ({"TABLE": ""}, 400, "TABLE is missing: the table that refers to the object"),
        ({"COLUMN": "flux"}, 404, "There is no light curve by the column 'flux' of a table 'curves.detections'."),
        ({"TABLE": "closed.detections"}, 404, "There is no light curve by the column 'objectId' of a table 'closed."),
        ({"MAXREC": "-1"}, 400, "MAXREC must be a whole number of rows"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(site: Site, given: dict[str, str], status: int, message: str) -> None:
    answer = curve(site, **given)

    assert answer.status_code == status
    assert message in answer.text.replace("&apos;", "'")


@pytest.mark.usefixtures("detections")
def test_the_light_curves_of_a_closed_release_are_for_its_holders(site: Site) -> None:
    assert curve(site, AS_HOLDER, TABLE="closed.detections").status_code == 200
    query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 * FROM closed.objects"}
    answer = site.client.get("/api/tap/sync", params=query, headers=AS_HOLDER)
    assert [name for name, _ in offered(answer.content)] == ["light-curve.closed.detections.objectId"]


@pytest.mark.usefixtures("detections")
@needs_stilts
@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b"])
def test_stilts_finds_a_sound_descriptor_in_a_sound_document(site: Site, tmp_path: Path, form: str) -> None:
    file = tmp_path / "answer.vot"
    file.write_bytes(ask(site, "SELECT TOP 5 * FROM curves.objects", RESPONSEFORMAT=form))

    lint, links = (
        subprocess.run(["stilts", task, str(file)], capture_output=True, text=True, check=False, timeout=60)
        for task in ("votlint", "datalinklint")
    )

    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
    of_services = [line.split(" ", 1) for line in links.stdout.splitlines() if line[2:4] == "SD"]
    assert {code[0] for code, _ in of_services} == {"I"}, links.stdout
    told = [text for _, text in of_services]
    assert f"Service descriptor {ID}, 4 input params" in told
    assert "ROW parameter count 1 [ID]" in told
