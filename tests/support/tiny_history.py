"""Four tiny releases, each with values found nowhere else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import yaml

from pachon.core.fields import arrow_schema
from pachon.releases.felis import read_schema
from pachon.releases.folder_storage import publication, table_folder
from pachon.releases.hats.writer import CatalogueFormat, write_catalogue

WORDS = {"hist_dr1": "quollhedge", "hist_dr2": "zibbetmoor", "hist_deep": "vexlagoon", "hist_prompt": "jynxferrow"}
DATES = {"hist_dr1": date(2020, 1, 1), "hist_dr2": date(2025, 6, 15)}
KINDS = {"hist_deep": "special programme", "hist_prompt": "prompt"}
GROUPS = {"hist_deep": frozenset({"deep-team"})}
_FIRST_IDS = {name: 7_310_000_000_000_000_000 + 1_001_003 * number for number, name in enumerate(WORDS, start=1)}


def make_history(root: Path) -> None:
    for release_id in WORDS:
        _make(root, release_id)


def canaries(release_id: str) -> tuple[bytes, ...]:
    """What only this release holds: words, and a number."""
    word, number = WORDS[release_id], _FIRST_IDS[release_id]
    return tuple(text.encode() for text in (*_texts(word).values(), release_id, str(number), f"{number % 9973}.0625"))


def _texts(word: str) -> dict[str, str]:
    kinds = ("title", "about", "table", "tableabout", "column", "columnabout", "value", "source", "licence", "credit")
    return {kind: f"{word}{kind}" for kind in kinds}


def _make(root: Path, release_id: str) -> None:
    texts, number = _texts(WORDS[release_id]), _FIRST_IDS[release_id]
    with publication(root, release_id) as folder:
        release = {
            "id": release_id,
            "title": texts["title"],
            "description": texts["about"],
            "kind": KINDS.get(release_id, "data release"),
            "date": DATES.get(release_id, date(2025, 9, 1)),
            "audience": "holders",
            "simulated": True,
            "source": texts["source"],
            "licence": texts["licence"],
            "credit": texts["credit"],
            "groups": sorted(GROUPS.get(release_id, ())),
        }
        (folder / "release.yaml").write_text(yaml.safe_dump(release))
        (folder / "schema.yaml").write_text(yaml.safe_dump(_felis(release_id, texts)))
        (table,) = read_schema(folder / "schema.yaml")
        schema = arrow_schema(tuple(column.field for column in table.columns))
        rows = pa.table(
            {
                "id": [number, number + 1],
                "ra": [56.75, 57.0],
                "dec": [24.12, 24.2],
                texts["column"]: [float(number % 9973) + 0.0625, 1.5],
                "note": [texts["value"], None],
            }
        ).cast(schema)
        layout = CatalogueFormat(name=table.qualified_name, schema=schema, ra_column="ra", dec_column="dec")
        write_catalogue(rows.to_batches(), table_folder(folder, table.name), layout)


def _felis(release_id: str, texts: dict[str, str]) -> dict[str, object]:
    name = texts["table"]
    kinds = {
        "id": ("long", "meta.id;meta.main"),
        "ra": ("double", "pos.eq.ra;meta.main"),
        "dec": ("double", "pos.eq.dec;meta.main"),
        texts["column"]: ("double", "phot.flux"),
        "note": ("string", "meta.note"),
    }
    columns = [
        {
            "name": column,
            "@id": f"#{name}.{column}",
            "datatype": datatype,
            "ivoa:ucd": ucd,
            "description": texts["columnabout"] if ucd == "phot.flux" else column,
            **({"length": 64} if datatype == "string" else {}),
        }
        for column, (datatype, ucd) in kinds.items()
    ]
    table = {"name": name, "@id": f"#{name}", "description": texts["tableabout"], "columns": columns}
    return {"name": release_id, "@id": f"#{release_id}", "description": texts["about"], "tables": [table]}
