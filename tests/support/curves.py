"""A small release with objects and their detections, and where what is asked of it should lead."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from pyarrow import csv

from pachon.releases.drafts import add_table, create
from pachon.releases.models import Release, ReleaseKind
from pachon.releases.publishing import publish
from pachon.releases.registry import Registry
from pachon.rights.models import Audience

FIRST_OBJECT = 2**60 + 7
"""Larger than a float can hold."""
OBJECTS, DETECTIONS = 40, 600

_TABLES = {
    "objects": {"objectId": ("long", "meta.id;meta.main"), "ra": ("double", "pos.eq.ra;meta.main"),
                "dec": ("double", "pos.eq.dec;meta.main"), "band": ("text", "instr.bandpass")},
    "detections": {"detectionId": ("long", "meta.id;meta.main"), "objectId": ("long", "meta.id.parent"),
                   "mjd": ("double", "time.epoch"), "flux": ("double", "phot.flux")},
}  # fmt: skip


def publish_curves(root: Path, *, release_id: str = "curves", audience: Audience = Audience.WORLD) -> pa.Table:
    """Publish it in a folder of releases; gives the detections, in no order of time."""
    random = np.random.default_rng(5)
    objects = {
        "objectId": np.arange(FIRST_OBJECT, FIRST_OBJECT + OBJECTS),
        "ra": random.uniform(10, 11, OBJECTS),
        "dec": random.uniform(-1, 1, OBJECTS),
        "band": ["é"] * OBJECTS,
    }
    detections = {
        "detectionId": np.arange(DETECTIONS),
        "objectId": FIRST_OBJECT + random.integers(0, OBJECTS, DETECTIONS),
        "mjd": np.round(random.uniform(60_000, 61_000, DETECTIONS), 5),
        "flux": np.round(random.normal(100, 5, DETECTIONS), 3),
    }
    registry = Registry(root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "schema.yaml").write_text(yaml.safe_dump(_felis(release_id)), encoding="utf-8")
        create(registry, _release(release_id, audience), schema=folder / "schema.yaml")
        for table, columns in {"objects": objects, "detections": detections}.items():
            csv.write_csv(pa.table(columns), folder / f"{table}.csv")
            add_table(registry, release_id, table, [folder / f"{table}.csv"])
        publish(registry, release_id, at=datetime(2026, 1, 1, tzinfo=UTC))
    return pa.table(detections)


def _release(release_id: str, audience: Audience) -> Release:
    return Release(
        id=release_id,
        title="Invented light curves",
        description="Objects and their detections.",
        kind=ReleaseKind.CATALOGUE,
        date=date(2026, 1, 1),
        audience=audience,
        simulated=True,
        source="made by the test suite",
        licence="CC0-1.0",
    )


def _felis(release_id: str) -> dict[str, object]:
    key = {
        "name": "detections_objects",
        "@id": "#detections_objects",
        "@type": "ForeignKey",
        "columns": ["#detections.objectId"],
        "referencedColumns": ["#objects.objectId"],
    }
    tables = [
        {
            "name": table,
            "@id": f"#{table}",
            "description": f"Invented {table}",
            "primaryKey": f"#{table}.{next(iter(columns))}",
            "columns": [
                {
                    "name": column,
                    "@id": f"#{table}.{column}",
                    "datatype": kind,
                    "ivoa:ucd": ucd,
                    "description": column,
                    **({"length": 8} if kind == "string" else {}),
                    **({"fits:tunit": "deg"} if ucd.startswith("pos.") else {}),
                }
                for column, (kind, ucd) in columns.items()
            ],
            **({"constraints": [key]} if table == "detections" else {}),
        }
        for table, columns in _TABLES.items()
    ]
    return {"name": release_id, "@id": f"#{release_id}", "description": "Light curves", "tables": tables}
