"""Small synthetic skies, written as releases and given back as rows for comparison by brute force."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from pachon.core.fields import arrow_schema
from pachon.releases.description import table_folder
from pachon.releases.felis import read_schema
from pachon.releases.hats.writer import CatalogueFormat, write_catalogue
from pachon.releases.publishing import publication
from pachon.rights.models import Audience

FIRST_ID = 9_007_199_254_740_993  # 2**53 + 1: a float cannot hold it

_COLUMNS = (
    ("id", "long", "meta.id;meta.main", None, "Identifier; larger than 2**53"),
    ("ra", "double", "pos.eq.ra;meta.main", "deg", "Right ascension, ICRS"),
    ("dec", "double", "pos.eq.dec;meta.main", "deg", "Declination, ICRS"),
    ("g_mag", "float", "phot.mag;em.opt.B", "mag", "Magnitude in g; some are null"),
    ("r_mag", "float", "phot.mag;em.opt.R", "mag", "Magnitude in r"),
    ("name", "string", "meta.id", None, "Name; some are null"),
    ("epoch", "timestamp", "time.epoch", None, "When it was observed (UTC)"),
    ("is_variable", "boolean", "meta.code;src.var", None, "Whether it varies"),
)


def make_release(
    root: Path,
    *,
    release_id: str = "sky",
    rows: int = 20_000,
    seed: int = 1,
    audience: Audience = Audience.WORLD,
    release_date: date = date(2020, 1, 1),
    groups: tuple[str, ...] = (),
    partition_rows: int = 4_000,
    has_ids: bool = True,
) -> pa.Table:
    """Write `<root>/<release_id>` with one table `stars` and return its rows, in the order they were made."""
    with publication(root, release_id) as folder:
        release = {
            "id": release_id,
            "title": f"Synthetic sky {release_id}",
            "description": "Invented stars for tests.",
            "kind": "catalogue",
            "date": release_date,
            "audience": audience.value,
            "simulated": True,
            "source": "made by the test suite",
            "licence": "CC0-1.0",
            "groups": list(groups),
        }
        (folder / "release.yaml").write_text(yaml.safe_dump(release), encoding="utf-8")
        (folder / "schema.yaml").write_text(felis(release_id, has_ids=has_ids), encoding="utf-8")
        (table,) = read_schema(folder / "schema.yaml")
        schema = arrow_schema(tuple(column.field for column in table.columns))
        stars = make_stars(rows, seed=seed).cast(schema)
        layout = CatalogueFormat(
            name=table.qualified_name, schema=schema, ra_column="ra", dec_column="dec", partition_rows=partition_rows
        )
        write_catalogue(stars.to_batches(max_chunksize=3_000), table_folder(folder, "stars"), layout)
    return stars


def make_stars(rows: int, *, seed: int = 1) -> pa.Table:
    """Invented stars: half all over the sky, the rest in clumps at both poles and across RA 0."""
    random = np.random.default_rng(seed)
    ra, dec = _positions(rows, random)
    g_mag = random.uniform(14, 26, rows).astype(np.float32)
    days = random.integers(0, 3_650, rows)
    return pa.table(
        {
            "id": np.arange(FIRST_ID, FIRST_ID + rows),
            "ra": ra,
            "dec": dec,
            "g_mag": pa.array(g_mag, mask=random.random(rows) < 0.05),
            "r_mag": (g_mag - random.normal(0.6, 0.3, rows)).astype(np.float32),
            "name": pa.array([f"Star {n}" for n in range(rows)], mask=random.random(rows) < 0.1),
            "epoch": np.datetime64("2025-01-01T00:00:00.123456") + days.astype("timedelta64[D]"),
            "is_variable": random.random(rows) < 0.02,
        }
    )


def _positions(rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """ICRS degrees; the first rows lie exactly on the poles and on the meridian."""
    ra = random.uniform(0, 360, rows)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, rows)))
    clump = rows // 6
    dec[:clump] = 90 - np.abs(random.normal(0, 0.5, clump))
    dec[clump : 2 * clump] = -90 + np.abs(random.normal(0, 0.5, clump))
    ra[2 * clump : 3 * clump] = random.normal(0, 0.5, clump) % 360
    dec[2 * clump : 3 * clump] = random.normal(10, 0.5, clump)
    exact = np.array([[0, 90], [123, 90], [0, -90], [321, -90], [0, 0], [0, 10], [np.nextafter(360, 0), 10]])
    ra[: len(exact)], dec[: len(exact)] = exact[:rows].T
    return ra, dec


def felis(release_id: str, *, has_ids: bool = True) -> str:
    """The Felis schema of a synthetic sky, whose `id` is its main identifier or not."""
    columns = [
        {
            "name": name,
            "@id": f"#stars.{name}",
            "datatype": datatype,
            "description": description,
            "ivoa:ucd": ucd if has_ids or ucd != "meta.id;meta.main" else "meta.number",
            "tap:principal": int(name in {"id", "ra", "dec", "g_mag"}),
            **({"fits:tunit": unit} if unit else {}),
            **({"length": 64} if datatype == "string" else {}),
        }
        for name, datatype, ucd, unit, description in _COLUMNS
    ]
    table = {
        "name": "stars",
        "@id": "#stars",
        "description": "Invented stars",
        "primaryKey": "#stars.id",
        "columns": columns,
        "indexes": [{"name": "idx_ra", "@id": "#idx_ra", "columns": ["#stars.ra"]}],
    }
    schema = {"name": release_id, "@id": f"#{release_id}", "description": "A synthetic sky", "tables": [table]}
    return yaml.safe_dump(schema, sort_keys=False)
