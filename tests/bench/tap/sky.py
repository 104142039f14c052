"""The releases that are asked: ten million invented objects, Tycho-2, and a table as wide as a survey's largest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from bench.importers import sky_schema, write_sky
from pachon.core.fields import arrow_schema
from pachon.releases.description import table_folder
from pachon.releases.felis import read_schema
from pachon.releases.hats.writer import CatalogueFormat, write_catalogue
from pachon.releases.importing import import_table
from pachon.releases.publishing import publication

SKY_ROWS = 10_000_000
WIDE_COLUMNS = 1_248
_WIDE_ROWS = 1_000
_POSITION = {"id": "meta.id;meta.main", "ra": "pos.eq.ra;meta.main", "dec": "pos.eq.dec;meta.main"}


def make_releases(root: Path, default_catalogues: Path, *, sky_rows: int = SKY_ROWS) -> None:
    """A folder of releases: `sky` and `wide` made here, the default catalogues linked from where they were built."""
    shutil.copytree(default_catalogues, root, copy_function=_link)
    import_sky(root, sky_rows)
    _write_wide(root)


def _link(source: str, target: str) -> None:
    """The same file under a second name; the registry, which changes, is copied, as is what lies on another disk."""
    try:
        if source.endswith(".parquet"):
            os.link(source, target)
            return
    except OSError:
        pass
    shutil.copy2(source, target)


def import_sky(root: Path, rows: int) -> None:
    """The release `sky` of invented objects, in a folder of releases."""
    file = root.with_name("objects.parquet")
    write_sky(file, rows)
    with publication(root, "sky") as draft:
        _describe(draft, "sky", sky_schema())
        (table,) = read_schema(draft / "schema.yaml")
        import_table([file], table, table_folder(draft, "objects"))
    file.unlink()


def _write_wide(root: Path) -> None:
    names = [*_POSITION, *(f"value_{number:04}" for number in range(WIDE_COLUMNS - len(_POSITION)))]
    columns = [
        {
            "name": name,
            "@id": f"#{name}",
            "datatype": "long" if name == "id" else "double" if name in _POSITION else "float",
            "description": f"What column {name} holds, in as many words as real tables need for it",
            "fits:tunit": "deg" if name in {"ra", "dec"} else None,
            "ivoa:ucd": _POSITION.get(name, "phot.flux;em.opt"),
        }
        for name in names
    ]
    tables = [{"name": "objects", "@id": "#objects", "description": "Invented", "columns": columns}]
    with publication(root, "wide") as draft:
        _describe(draft, "wide", yaml.safe_dump({"name": "wide", "tables": tables}))
        (table,) = read_schema(draft / "schema.yaml")
        schema = arrow_schema(tuple(column.field for column in table.columns))
        layout = CatalogueFormat(name=table.qualified_name, schema=schema, ra_column="ra", dec_column="dec")
        random = np.random.default_rng(1)
        values = {name: random.uniform(0, 90, _WIDE_ROWS) for name in names[1:]}
        rows = pa.table({"id": np.arange(_WIDE_ROWS), **values}).cast(schema)
        write_catalogue(rows.to_batches(), table_folder(draft, "objects"), layout)


def _describe(draft: Path, release_id: str, schema: str) -> None:
    release = {
        "id": release_id,
        "title": f"Invented {release_id}",
        "description": "Invented objects for benchmarks.",
        "kind": "catalogue",
        "date": "2020-01-01",
        "audience": "world",
        "simulated": True,
        "source": "made by the benchmark",
        "licence": "CC0-1.0",
    }
    (draft / "release.yaml").write_text(yaml.safe_dump(release), encoding="utf-8")
    (draft / "schema.yaml").write_text(schema, encoding="utf-8")
