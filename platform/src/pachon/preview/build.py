"""Builds catalogues: downloads, reads, writes HATS, and publishes each catalogue whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from pachon.core.errors import PachonError, SetupError
from pachon.core.fields import arrow_schema
from pachon.preview.downloads import obtain
from pachon.preview.gaia import GAIA
from pachon.preview.hipparcos import HIPPARCOS
from pachon.preview.mangrove import MANGROVE
from pachon.preview.manifest import read_build, recipe, write_build
from pachon.preview.models import Catalogue, LineReporter, Places, PlatformSettings, Reporter
from pachon.preview.openngc import OPENNGC
from pachon.preview.tycho2 import TYCHO2
from pachon.preview.variable_stars import GCVS, VSX
from pachon.releases.description import table_folder
from pachon.releases.felis import read_schema
from pachon.releases.hats.writer import CatalogueFormat, write_catalogue
from pachon.releases.publishing import publication
from pachon.releases.registry import Registry

DEFAULT = (OPENNGC, HIPPARCOS, TYCHO2)
OPTIONAL = (GAIA, VSX, GCVS, MANGROVE)  # built only when asked for


def build_default(settings: PlatformSettings, report: Callable[[str], None]) -> None:
    """Build those default catalogues that are not there; one that cannot be had is reported and left out.

    Parameters
    ----------
    report
        Takes lines for people.

    Raises
    ------
    SetupError
        If not one default catalogue is there in the end.
    """
    build_missing(Places.from_settings(settings), LineReporter(report))


def missing(settings: PlatformSettings) -> tuple[str, ...]:
    """Ids of the default catalogues that are not built, or were built by an older recipe."""
    places = Places.from_settings(settings)
    return tuple(catalogue.id for catalogue in DEFAULT if not is_current(catalogue, places))


def build_missing(places: Places, reporter: Reporter, catalogues: Iterable[Catalogue] = DEFAULT) -> None:
    """Build catalogues as `build_default` does.

    Raises
    ------
    SetupError
        If not one of them is there in the end.
    """
    chosen = tuple(catalogues)
    for catalogue in chosen:
        if is_current(catalogue, places):
            continue
        try:
            build(catalogue, places, reporter)
        except PachonError as error:
            reporter.say(f"{catalogue.id} is left out: {error}")
    if not any(published_folder(catalogue, places) for catalogue in chosen):
        raise SetupError("No catalogue could be built; the lines above say why.")


def is_current(catalogue: Catalogue, places: Places) -> bool:
    """Whether a catalogue is published as a build of today would make it; one that was retired is left alone."""
    entry = Registry(places.releases).read().entries.get(catalogue.id)
    if entry is not None and not entry.is_served:
        return True
    try:
        made = read_build(published_folder(catalogue, places))
    except SetupError:
        return False
    return made is not None and made.recipe == recipe(catalogue)


def published_folder(catalogue: Catalogue, places: Places) -> Path | None:
    """Where a catalogue lies; None if it is not published."""
    registry = Registry(places.releases)
    entry = registry.read().entries.get(catalogue.id)
    return registry.locate(entry.place) if entry is not None else None


def build(catalogue: Catalogue, places: Places, reporter: Reporter) -> None:
    """Build a catalogue and publish it, in place of an earlier one.

    Raises
    ------
    SetupError
        If its data cannot be had, or are not complete.
    ConflictError
        If another process is building it.
    """
    started = time.monotonic()
    with publication(places.releases, catalogue.id) as folder:
        source = obtain(catalogue.download, places, reporter)
        reporter.say(f"{catalogue.id}: building.")
        rows = _write(catalogue, source, folder, reporter)
        if rows != catalogue.row_count:
            raise SetupError(f"Catalogue {catalogue.id} should have {catalogue.row_count:,} rows, not {rows:,}.")
        write_build(folder, catalogue)
    reporter.say(f"{catalogue.id}: {rows:,} rows in {time.monotonic() - started:.0f} s.")


def _write(catalogue: Catalogue, source: Path, folder: Path, reporter: Reporter) -> int:
    for name in ("release.yaml", "schema.yaml"):
        shutil.copyfile(catalogue.folder / name, folder / name)
    (table,) = read_schema(folder / "schema.yaml")
    if table.ra_column is None or table.dec_column is None:
        raise SetupError(f"Table {table.qualified_name} must have a main position.")
    layout = CatalogueFormat(
        name=table.qualified_name,
        schema=arrow_schema(tuple(column.field for column in table.columns)),
        ra_column=table.ra_column,
        dec_column=table.dec_column,
    )
    batches = _counted(catalogue, source, reporter)
    partitions = write_catalogue(batches, table_folder(folder, table.name), layout)
    return sum(partition.row_count for partition in partitions)


def _counted(catalogue: Catalogue, source: Path, reporter: Reporter) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in catalogue.read(source):
        yield batch
        done += len(batch)
        reporter.rows(catalogue, done)
