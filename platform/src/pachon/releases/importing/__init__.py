"""Import of CSV, FITS, VOTable and Parquet files into the tables of a release: all of a table, or nothing."""

from pachon.releases.importing.models import ImportFindingsError, ImportReport
from pachon.releases.importing.service import import_table

__all__ = ["ImportFindingsError", "ImportReport", "import_table"]
