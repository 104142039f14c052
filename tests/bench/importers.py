"""One import in a process of its own, ours or `hats-import`: `python -m bench.importers <which> <file> <folder>`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pachon.releases.felis import parse_schema
from pachon.releases.importing import import_table

BANDS = "ugrizy"
FIRST_ID = 1 << 57
_BLOCK_ROWS = 500_000
_SEED = 20261125


def write_sky(path: Path, rows: int) -> None:
    """Invented objects all over the sky in no order: identifier, position, six magnitudes; a block at a time."""
    random = np.random.default_rng(_SEED)
    writer: pq.ParquetWriter | None = None
    for first in range(0, rows, _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, rows - first)
        block = {
            "id": np.arange(first, first + count) + FIRST_ID,
            "ra": random.uniform(0, 360, count),
            "dec": np.degrees(np.arcsin(random.uniform(-1, 1, count))),
        }
        block |= {f"{band}_mag": random.normal(22, 2, count).astype(np.float32) for band in BANDS}
        table = pa.table(block)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def sky_schema() -> str:
    """The Felis schema of the invented objects: the table `sky.objects`."""
    kinds = {"id": "long", "ra": "double", "dec": "double"} | {f"{band}_mag": "float" for band in BANDS}
    ucds = {"id": "meta.id;meta.main", "ra": "pos.eq.ra;meta.main", "dec": "pos.eq.dec;meta.main"}
    columns = [
        {"name": name, "@id": f"#{name}", "datatype": kind, "ivoa:ucd": ucds.get(name)} for name, kind in kinds.items()
    ]
    tables = [{"name": "objects", "@id": "#objects", "description": "Invented", "columns": columns}]
    return yaml.safe_dump({"name": "sky", "tables": tables})


def ours(file: Path, folder: Path) -> None:
    """Import with all checks, against a schema."""
    (table,) = parse_schema(sky_schema())
    import_table([file], table, folder)


def theirs(file: Path, folder: Path) -> None:
    """Import with two workers, to pixels of the same size."""
    warnings.simplefilter("ignore")
    from dask.distributed import Client  # noqa: PLC0415 -- only this candidate pays for it
    from hats_import.catalog.arguments import ImportArguments  # noqa: PLC0415 -- same
    from hats_import.pipeline import pipeline_with_client  # noqa: PLC0415 -- same

    temporary = folder.with_name(f"{folder.name}-temporary")
    temporary.mkdir()
    arguments = ImportArguments(
        ra_column="ra",
        dec_column="dec",
        input_file_list=[str(file)],
        file_reader="parquet",
        output_artifact_name="objects",
        output_path=str(folder),
        pixel_threshold=250_000,
        highest_healpix_order=8,
        progress_bar=False,
        tmp_dir=str(temporary),
    )
    with Client(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", local_directory=str(temporary), dashboard_address=None
    ) as client:
        pipeline_with_client(arguments, client)


_IMPORTERS: dict[str, Callable[[Path, Path], None]] = {"ours": ours, "theirs": theirs}


if __name__ == "__main__":
    _IMPORTERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
