from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from astropy.io.votable import parse
from pyvo.dal.adhoc import DatalinkQuery
from pyvo.dal.tap import TAPResults

from pachon.core.errors import NotFoundError, UsageError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.releases.models import Column, ForeignKey, Table
from pachon.tap import descriptors
from pachon.vo import votable
from pachon.vo.models import Heading
from support.rows import HeldRows
from support.stilts import needs_stilts

BIG = 2**60 + 1
BASE = "https://example.org/api/tap"


def column(name: str, datatype: DataType, ucd: str | None = None) -> Column:
    arraysize = "*" if datatype is DataType.CHAR else None
    return Column(field=Field(name=name, datatype=datatype, arraysize=arraysize, ucd=ucd))


def key(name: str, target: str, to: str) -> ForeignKey:
    return ForeignKey(id=f"fk_{name}", target_table=target, from_columns=(name,), target_columns=(to,))


OBJECT = Table(
    schema="dp",
    name="Object",
    description="Objects",
    columns=(column("objectId", DataType.LONG, "meta.id;meta.main"), column("ra", DataType.DOUBLE)),
    id_column="objectId",
)
SOURCE = Table(
    schema="dp",
    name="Source",
    description="Sources",
    columns=(
        column("sourceId", DataType.LONG),
        column("objectId", DataType.LONG),
        column("processed", DataType.TIMESTAMP),
        column("size", DataType.DOUBLE, "time.epoch"),
    ),
    foreign_keys=(key("objectId", "dp.Object", "objectId"), key("sourceId", "dp.Object", "ra")),
)
FLAGS = Table(
    schema="dp",
    name="Flags",
    description="No times",
    columns=(column("objectId", DataType.LONG),),
    foreign_keys=(key("objectId", "dp.Object", "objectId"),),
)
NAMED = replace(OBJECT, name="Named", columns=(column("name", DataType.CHAR),), id_column="name")
VISITS = Table(
    schema="dp",
    name="Visits",
    description="By name",
    columns=(column("who", DataType.CHAR), column("at", DataType.TIMESTAMP)),
    foreign_keys=(key("who", "dp.Named", "name"),),
)
TABLES = (OBJECT, SOURCE, FLAGS, NAMED, VISITS)


def answer(*names: str, writer: object = votable.write_binary2) -> bytes:
    fields = tuple(Field(name=name, datatype=DataType.LONG, origin=f"dp.Object.{name}") for name in names)
    batch = pa.record_batch([pa.array([1, BIG])] * len(names), schema=arrow_schema(fields))
    services = descriptors.descriptors(fields, TABLES, address=f"{BASE}/light-curve")
    return b"".join(writer(HeldRows(fields, [batch]), Heading(services=services)))


@pytest.mark.parametrize("writer", [votable.write_binary2, votable.write_tabledata, votable.write_binary])
def test_pyvo_finds_the_light_curve_of_an_object_and_asks_for_it(writer: object) -> None:
    found = TAPResults(parse(io.BytesIO(answer("ra", "objectId", writer=writer))))

    (service,) = found.iter_adhocservices()
    assert service is found.get_adhocservice_by_id("light-curve.dp.Source.objectId")
    query = DatalinkQuery.from_resource(found[1], service)
    assert query.queryurl == f"{BASE}/light-curve"
    assert (query["ID"], query["TABLE"], query["COLUMN"]) == ([BIG], "dp.Source", "objectId")


@needs_stilts
def test_votlint_finds_nothing_to_complain_about_in_a_document_with_services(tmp_path: Path) -> None:
    file = tmp_path / "answer.vot"
    file.write_bytes(answer("ra", "objectId"))

    done = subprocess.run(["stilts", "votlint", str(file)], capture_output=True, text=True, check=True, timeout=60)

    assert (done.stdout, done.stderr) == ("", "")


def test_an_answer_without_the_identifier_offers_nothing() -> None:
    assert b"adhoc:service" not in answer("ra")
    assert b"ID=" not in answer("ra")


def test_what_is_offered_depends_on_where_values_come_from_and_not_on_names() -> None:
    fields = (
        Field(name="objectId", datatype=DataType.DOUBLE, origin="dp.Object.ra"),
        Field(name="star", datatype=DataType.LONG, origin="dp.Object.objectId"),
        Field(name="other star", datatype=DataType.LONG, origin="dp.Object.objectId"),
    )

    offered = descriptors.descriptors(fields, TABLES, address=BASE)

    assert [(each.id, each.inputs[0].column) for each in offered] == [
        ("light-curve.dp.Source.objectId", "star"),
        ("light-curve.dp.Source.objectId.2", "other star"),
    ]


def test_only_keys_to_the_identifier_from_tables_with_times_are_light_curves() -> None:
    found = descriptors.light_curves(TABLES)

    assert [(curve.sources.name, curve.column.name, curve.time.name) for curve in found] == [
        ("Source", "objectId", "size"),
        ("Visits", "who", "at"),
    ]
    assert descriptors.light_curves((OBJECT, FLAGS)) == ()


def test_the_query_behind_it_quotes_what_must_be_quoted() -> None:
    by_number = descriptors.find(TABLES, table="dp.source", column="OBJECTID")
    by_name = descriptors.find(TABLES, table="dp.Visits", column="who")

    assert by_number.adql("+0042") == 'SELECT * FROM dp.Source WHERE objectId = 42 ORDER BY "size"'
    assert by_name.adql("O'Hara") == """SELECT * FROM dp.Visits WHERE who = 'O''Hara' ORDER BY "at\""""


@pytest.mark.parametrize("identifier", ["1 OR 1=1", "4.2", "", "9" * 30, "x'"])
def test_an_identifier_of_another_type_is_refused(identifier: str) -> None:
    with pytest.raises(UsageError, match=f"^ID must be a whole number, not '{identifier}'.$"):
        descriptors.find(TABLES, table="dp.Source", column="objectId").adql(identifier)


def test_a_light_curve_that_is_not_offered_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"no light curve by the column 'objectId' of a table 'dp.Flags'"):
        descriptors.find(TABLES, table="dp.Flags", column="objectId")
