"""Results that are kept with saved queries: one Arrow stream a run, in a folder of its own.

The rows are those of the job's spool. On one file system both names are the same file, so keeping takes no further disk
as long as the job is there, and the rows outlive it.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from pachon.core.errors import NotFoundError, UnavailableError
from pachon.queries.jobs.spool import SpooledRows
from pachon.queries.saved.models import QueryRun

_LOG = logging.getLogger(__name__)
_SUFFIX = ".arrow"
_STRAY_AFTER_S = 3_600.0


class KeptResults:
    """The folder of kept results; processes of one installation share it.

    Parameters
    ----------
    folder
        Made when needed; readable by this account only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, run_id: str, source: Path) -> int:
        """Keep a result; asked twice is asked once.

        Returns
        -------
        int
            Size on disk, bytes.

        Raises
        ------
        NotFoundError
            If there is no such file any more.
        UnavailableError
            If the disk does not take it.
        """
        part = self._folder / f"{run_id}.{os.getpid()}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            _link_or_copy(source, part)
            os.utime(part)
            size_bytes = part.stat().st_size
            part.replace(self._path(run_id))
        except FileNotFoundError:
            raise NotFoundError("The rows of this run are not on disk any more; run the query again.") from None
        except OSError as error:
            raise UnavailableError(f"The result could not be kept: {error.strerror or error}.") from error
        return size_bytes

    def read(self, run: QueryRun) -> SpooledRows:
        """The rows of a run.

        Raises
        ------
        NotFoundError
            If they are not kept.
        """
        try:
            return SpooledRows(self._path(run.id), execution_id=run.execution_id or "", overflow=run.overflow)
        except FileNotFoundError:
            raise NotFoundError("The rows of this run are not on disk any more; run the query again.") from None

    def remove(self, run_id: str) -> None:
        """Delete a result; one that cannot be deleted is tried again when old files are tidied away."""
        try:
            self._path(run_id).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("%s could not be deleted: %s", self._path(run_id), error.strerror)

    def old(self) -> frozenset[str]:
        """Ids of the runs whose files are older than an hour, to be compared with the runs there are."""
        before = time.time() - _STRAY_AFTER_S
        found = set()
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    found.add(path.name.removesuffix(_SUFFIX))
        return frozenset(found)

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}{_SUFFIX}"


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        target.chmod(0o600)
