import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from felis.datamodel import Schema

from pachon.core.errors import UsageError
from pachon.core.fields import DataType
from pachon.preview.build import DEFAULT, OPTIONAL
from pachon.preview.models import DESCRIPTIONS
from pachon.releases.felis import parse_schema, read_schema
from support.skies import felis

Change = Callable[[Any], None]
SCHEMAS = sorted(DESCRIPTIONS.glob("*/schema.yaml"))

SURVEY = yaml.safe_load("""
name: survey
"@id": "#survey"
description: Two tables
tables:
  - name: visits
    "@id": "#visits"
    description: Exposures
    tap:table_index: 2
    primaryKey: "#visits.visit"
    columns:
      - {name: visit, "@id": "#visits.visit", datatype: long, description: Number}
  - name: sources
    "@id": "#sources"
    description: Detections
    tap:table_index: 1
    primaryKey: ["#sources.id"]
    columns:
      - {name: flux, "@id": "#sources.flux", datatype: float, "fits:tunit": nJy, "tap:column_index": 9}
      - {name: id, "@id": "#sources.id", datatype: long, "ivoa:ucd": meta.id;meta.main, "tap:principal": 1}
      - {name: ra, "@id": "#sources.ra", datatype: double, "ivoa:ucd": pos.eq.ra;meta.main, "fits:tunit": "",
         "ivoa:unit": deg, "tap:column_index": 2}
      - {name: dec, "@id": "#sources.dec", datatype: double, "ivoa:ucd": pos.eq.dec;meta.main, "tap:column_index": 3}
      - {name: visit, "@id": "#sources.visit", datatype: long, "tap:column_index": 4, "tap:std": true}
      - {name: at, "@id": "#sources.at", datatype: timestamp, "tap:column_index": 5}
      - {name: corners, "@id": "#sources.corners", datatype: double, "votable:arraysize": 8, "tap:column_index": 6}
    indexes:
      - {name: idx_position, "@id": "#idx_position", columns: ["#sources.ra", "#sources.dec"]}
    constraints:
      - {name: fk_visit, "@id": "#fk_visit", "@type": ForeignKey, description: Seen in, columns: ["#sources.visit"],
         referencedColumns: ["#visits.visit"]}
""")
SURVEY["tables"][1]["columns"][2].pop("fits:tunit")


def test_a_schema_becomes_tables_in_the_order_it_asks_for() -> None:
    sources, visits = parse_schema(yaml.safe_dump(SURVEY))
    assert (sources.qualified_name, visits.qualified_name) == ("survey.sources", "survey.visits")
    assert [column.name for column in sources.columns] == ["ra", "dec", "visit", "at", "corners", "flux", "id"]
    assert (sources.id_column, sources.ra_column, sources.dec_column) == ("id", "ra", "dec")
    assert sources.has_position
    assert not visits.has_position
    assert sources.primary_key == ("id",)


def test_columns_keep_their_types_units_and_flags() -> None:
    columns = {column.name: column for column in parse_schema(yaml.safe_dump(SURVEY))[0].columns}
    assert (columns["flux"].field.unit, columns["ra"].field.unit, columns["dec"].field.unit) == ("nJy", "deg", None)
    assert columns["at"].field.datatype is DataType.TIMESTAMP
    assert columns["at"].field.xtype == "timestamp"
    assert columns["corners"].field.arraysize == "8"
    assert [name for name, column in columns.items() if column.indexed] == ["ra", "dec"]
    assert [name for name, column in columns.items() if column.principal] == ["id"]
    assert [name for name, column in columns.items() if column.std] == ["visit"]


def test_a_foreign_key_names_the_other_table_and_pairs_the_columns() -> None:
    (key,) = parse_schema(yaml.safe_dump(SURVEY))[0].foreign_keys
    assert (key.id, key.target_table, key.from_columns, key.target_columns, key.description) == (
        "fk_visit",
        "survey.visits",
        ("visit",),
        ("visit",),
        "Seen in",
    )


def _set(path: tuple[str | int, ...], value: object) -> Change:
    def change(document: Any) -> None:
        *parents, last = path
        for step in parents:
            document = document[step]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


COLUMN = ("tables", 1, "columns", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(("name",), None), r"bad\.yaml\.name: is missing"),
        (_set(("name",), "my survey"), r"bad\.yaml\.name: 'my survey' must be a letter"),
        (_set(("tables",), []), r"bad\.yaml\.tables: must list at least one"),
        (_set(("tables",), {"a": 1}), r"bad\.yaml\.tables: must be a list"),
        (_set(("tables", 0), "visits"), r"bad\.yaml\.tables\[0\]: must be a mapping"),
        (_set(("tables", 0, "name"), "SOURCES"), r"two elements named 'sources'"),
        (_set(("tables", 0, "description"), None), r"tables\[visits\]\.description: is missing"),
        (_set(("tables", 1, "columns"), []), r"tables\[sources\]\.columns: must list at least one"),
        (_set(("tables", 0, "tap:table_index"), "x"), r"tables\[visits\]\.tap:table_index: must be a whole number"),
        (_set((*COLUMN, "datatype"), "real"), r"columns\[flux\]\.datatype: 'real' is not one of boolean, byte"),
        (_set((*COLUMN, "datatype"), None), r"tables\[sources\]\.columns\[flux\]\.datatype: is missing"),
        (_set((*COLUMN, "tap:principal"), 2), r"columns\[flux\]\.tap:principal: must be 0 or 1, not 2"),
        (_set((*COLUMN, "fits:tunit"), 3.5), r"columns\[flux\]\.fits:tunit: must be a text, not 3\.5"),
        (_set((*COLUMN, "@id"), "#sources.ra"), r"'#sources\.ra' is used twice"),
        (_set((*COLUMN, "ivoa:ucd"), "meta.id;meta.main"), r"only one column may have the UCD 'meta\.id;meta\.main'"),
        (_set(("tables", 1, "columns", 3, "ivoa:ucd"), None), r"needs a main declination"),
        (_set(("tables", 1, "primaryKey"), "#nowhere"), r"primaryKey: no column has the @id '#nowhere'"),
        (_set(("tables", 1, "primaryKey"), "#visits.visit"), r"belongs to table 'visits', not to 'sources'"),
        (_set(("tables", 1, "indexes", 0, "columns"), ["#x"]), r"indexes\[idx_position\]\.columns: no column"),
        (
            _set(("tables", 1, "constraints", 0, "referencedColumns"), []),
            r"constraints\[fk_visit\]\.referencedColumns: must list as many",
        ),
    ],
)
def test_a_wrong_schema_is_refused_with_the_place_in_it(change: Change, message: str) -> None:
    document = copy.deepcopy(SURVEY)
    change(document)
    with pytest.raises(UsageError, match=message):
        parse_schema(yaml.safe_dump(document), source="bad.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", r"bad\.yaml, line \d+: this is not YAML"), ("- a", "must be a mapping"), ("", "must be a mapping")],
)
def test_a_text_that_is_no_schema_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_schema(text, source="bad.yaml")


@pytest.mark.parametrize("text", [path.read_text() for path in SCHEMAS] + [felis("sky")])
def test_our_schemas_are_valid_for_the_reference_reader(text: str) -> None:
    context = {"check_tap_principal": True, "check_tap_table_indexes": "sky" not in text, "id_generation": False}
    document = yaml.safe_load(text)
    checked = Schema.model_validate(document, context={key: value for key, value in context.items() if value})
    (table,) = parse_schema(text)
    assert [column.name for column in checked.tables[0].columns] == [column.name for column in table.columns]


def test_every_column_of_the_real_catalogues_is_described_and_has_a_ucd() -> None:
    assert {path.parent.name for path in SCHEMAS} == {catalogue.id for catalogue in (*DEFAULT, *OPTIONAL)}
    for path in SCHEMAS:
        (table,) = read_schema(path)
        assert None not in (table.id_column, table.ra_column, table.dec_column)
        for column in table.columns:
            assert column.field.ucd, column
            assert column.field.description, column
        assert {column.name for column in table.columns if column.indexed} == {"ra", "dec"}
