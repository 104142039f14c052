"""Uploads of TAP requests: what came with a request, until the request has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from pachon.core.errors import UsageError
from pachon.queries.uploads.answer import Ask, UploadAnswer

if TYPE_CHECKING:
    from pachon.queries.dispatch import QueryTurn
    from pachon.queries.service import Uploads as Tables
    from pachon.queries.uploads.models import Upload, UploadLimits
    from pachon.queries.uploads.staging import Stager, Staging
    from pachon.queries.uploads.storage import UploadFolder, UploadSet
    from pachon.vo.dali import Parameters


_CONVERSIONS = 2
"""Of synchronous queries at once; others wait."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request: its parameters, and its files by name of the part."""

    parameters: Parameters
    brought: UploadSet


class StagedUploads:
    """The tables of a synchronous query: converted before it is bound, since what it means depends on them."""

    def __init__(
        self, uploads: tuple[Upload, ...], find: Callable[[str], Path], staging: Staging, threads: CapacityLimiter
    ) -> None:
        self._uploads = uploads
        self._find = find
        self._staging = staging
        self._threads = threads
        self.tables: Tables = {}

    def turn(self, inner: QueryTurn) -> UploadTurn:
        """The turn of the query, which begins with the conversion."""
        return UploadTurn(self, inner)

    async def convert(self) -> None:
        """Convert all; when nobody waits for it any more, it is stopped.

        Raises
        ------
        UsageError, UnavailableError
            As `Staging.tables`.
        """
        if not self._uploads:
            return
        try:
            found = await run_sync(
                self._staging.tables, self._uploads, self._find, limiter=self._threads, abandon_on_cancel=True
            )
        except BaseException:
            self._staging.stop()
            raise
        snapshots = [table.snapshot for table in found]
        self.tables = {each.table.qualified_name: each for each in snapshots}


class UploadTurn:
    """The turn of a query with uploads."""

    def __init__(self, staged: StagedUploads, inner: QueryTurn) -> None:
        self._staged = staged
        self.inner = inner

    async def begin(self) -> None:
        """Convert the uploads, then wait for the turn of the query."""
        await self._staged.convert()
        await self.inner.begin()

    def end(self) -> None:
        """Let the next query run. Safe to call more than once, before it began, and from any thread."""
        self.inner.end()


class Uploads:
    """Receives uploads, and answers the queries that read them.

    Parameters
    ----------
    folder
        Where they lie meanwhile.
    stager
        Converts them.
    """

    def __init__(self, folder: UploadFolder, stager: Stager, limits: UploadLimits) -> None:
        self._folder = folder
        self._stager = stager
        self.limits = limits
        self._threads = CapacityLimiter(_CONVERSIONS)

    def new_set(self) -> UploadSet:
        """A place for the files of one request."""
        return self._folder.new_set()

    def answer(self, uploads: tuple[Upload, ...], parts: Mapping[str, Path], ask: Ask) -> UploadAnswer:
        """The answer to a query with these uploads, which lie in these files; the caller closes it.

        Raises
        ------
        UsageError
            If a part that an upload names did not come.
        """
        find = _finder(uploads, parts)
        place = self._folder.new_set()
        staging = self._stager.new_staging(place.folder)
        return UploadAnswer(uploads, find, staging, ask=ask, on_close=place.remove)

    def warm_up(self) -> None:
        """Start a process that is ready to convert."""
        self._stager.warm_up()

    def staged(self, uploads: tuple[Upload, ...], brought: UploadSet) -> StagedUploads:
        """The tables of a synchronous query, which lie with the files of its request.

        Raises
        ------
        UsageError
            If a part that an upload names did not come.
        """
        staging = self._stager.new_staging(brought.folder)
        return StagedUploads(uploads, _finder(uploads, brought.parts), staging, self._threads)

    def close(self) -> None:
        """Remove all files and end the process that is ready to convert."""
        self._stager.close()
        self._folder.close()


def _finder(uploads: tuple[Upload, ...], parts: Mapping[str, Path]) -> Callable[[str], Path]:
    for upload in uploads:
        if upload.part is not None and upload.part not in parts:
            came = ", ".join(f"'{name[:40]}'" for name in parts) or "no file"
            message = f"Upload '{upload.name}': the request has no file '{upload.part[:80]}'; with it came {came}."
            raise UsageError(message, parameter="UPLOAD")
    return parts.__getitem__
