"""Uploads of TAP requests: what came with a request, until the request has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from pachon.core.errors import UsageError
from pachon.queries.admission import Admission, AdmissionLimits
from pachon.queries.estimate.models import Load, TimeClass
from pachon.queries.uploads.answer import Ask, UploadAnswer

if TYPE_CHECKING:
    from pachon.queries.admission import Asker
    from pachon.queries.dispatch import QueryTurn
    from pachon.queries.service import Uploads as Tables
    from pachon.queries.uploads.models import ReceivingLimits, Upload, UploadLimits
    from pachon.queries.uploads.staging import Stager, Staging
    from pachon.queries.uploads.storage import UploadFolder, UploadSet
    from pachon.vo.dali import Parameters


_AT_ONCE = 2
"""Conversions of synchronous queries; of these, one person and all anonymous visitors together have one."""
_WAITING = 100
_WAITING_PER_PERSON = 10
_WAIT_S = 60.0
_SMALL_BYTES = 16 * 1024**2
_SMALL_S = 10.0
"""Of what is converted in the turn of a short job: files up to this size, for so long."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request: its parameters, and its files by name of the part."""

    parameters: Parameters
    brought: UploadSet


class StagedUploads:
    """The tables of a synchronous query: converted before it is bound, since what it means depends on them."""

    def __init__(
        self,
        uploads: tuple[Upload, ...],
        find: Callable[[str], Path],
        staging: Staging,
        *,
        admission: Admission,
        threads: CapacityLimiter,
    ) -> None:
        self._uploads = uploads
        self._find = find
        self._staging = staging
        self._admission = admission
        self._threads = threads
        self.tables: Tables = {}

    def turn(self, inner: QueryTurn) -> UploadTurn:
        """The turn of the query, which begins with the conversion."""
        return UploadTurn(self, inner)

    async def convert(self, asker: Asker) -> None:
        """Convert all, in the turn of who asks; when nobody waits for it any more, it is stopped.

        Raises
        ------
        UsageError, LimitError, UnavailableError
            As `Staging.tables`, and `Admission.enter`.
        """
        if not self._uploads:
            return
        place = await self._admission.enter(asker)
        try:
            found = await run_sync(
                self._staging.tables, self._uploads, self._find, limiter=self._threads, abandon_on_cancel=True
            )
        except BaseException:
            self._staging.stop()
            raise
        finally:
            self._admission.leave(place)
        snapshots = [table.snapshot for table in found]
        self.tables = {each.table.qualified_name: each for each in snapshots}


class UploadTurn:
    """The turn of a query with uploads."""

    def __init__(self, staged: StagedUploads, inner: QueryTurn) -> None:
        self._staged = staged
        self.inner = inner

    async def begin(self) -> None:
        """Convert the uploads, then wait for the turn of the query."""
        await self._staged.convert(self.inner.asker)
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
    receiving
        How many requests with files are received at once.
    jobs_address
        Public address of jobs, which may wait longer.
    """

    def __init__(
        self,
        folder: UploadFolder,
        stager: Stager,
        limits: UploadLimits,
        receiving: ReceivingLimits,
        *,
        jobs_address: str,
    ) -> None:
        self._folder = folder
        self._stager = stager
        self.limits = limits
        self.receiving_limits = receiving
        self._receiving = Admission(_receiving_turns(receiving))
        self._admission = Admission(_turns(jobs_address))
        self._threads = CapacityLimiter(_AT_ONCE)

    def new_set(self) -> UploadSet:
        """A place for the files of one request."""
        return self._folder.new_set()

    @asynccontextmanager
    async def receiving(self, asker: Asker) -> AsyncIterator[None]:
        """The turn in which the files of one request come.

        Raises
        ------
        UnavailableError
            As `Admission.enter`.
        """
        place = await self._receiving.enter(asker)
        try:
            yield
        finally:
            self._receiving.leave(place)

    def load(self, uploads: tuple[Upload, ...], sent_bytes: int) -> Load:
        """What converting uploads asks for; what their query asks of a worker is known when they are tables."""
        is_small = sent_bytes <= _SMALL_BYTES and all(upload.part is not None for upload in uploads)
        return Load(TimeClass.SHORT if is_small else TimeClass.SCAN, is_rough=True)

    def answer(
        self, uploads: tuple[Upload, ...], parts: Mapping[str, Path], ask: Ask, *, time_class: TimeClass
    ) -> UploadAnswer:
        """The answer to a query with these uploads, which lie in these files; the caller closes it.

        Parameters
        ----------
        time_class
            In whose turn they are converted.

        Raises
        ------
        UsageError
            If a part that an upload names did not come.
        """
        find = _finder(uploads, parts)
        place = self._folder.new_set()
        time_limit_s = _SMALL_S if time_class is TimeClass.SHORT else None
        staging = self._stager.new_staging(place.folder, time_limit_s=time_limit_s)
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
        find = _finder(uploads, brought.parts)
        return StagedUploads(uploads, find, staging, admission=self._admission, threads=self._threads)

    def close(self) -> None:
        """Remove all files and end the process that is ready to convert."""
        self._stager.close()
        self._folder.close()


def _receiving_turns(limits: ReceivingLimits) -> AdmissionLimits:
    return AdmissionLimits(
        running=limits.at_once,
        running_per_person=limits.per_person,
        running_anonymous=limits.anonymous,
        waiting=limits.waiting,
        waiting_per_person=limits.waiting_per_person,
        timeout_s=limits.wait_s,
        kind="request with files",
        kinds="requests with files",
    )


def _turns(jobs_address: str) -> AdmissionLimits:
    return AdmissionLimits(
        running=_AT_ONCE,
        waiting=_WAITING,
        waiting_per_person=_WAITING_PER_PERSON,
        timeout_s=_WAIT_S,
        kind="query with uploads",
        kinds="queries with uploads",
        advice=f", or ask it as a job at {jobs_address}, where it keeps its place in line",
    )


def _finder(uploads: tuple[Upload, ...], parts: Mapping[str, Path]) -> Callable[[str], Path]:
    for upload in uploads:
        if upload.part is not None and upload.part not in parts:
            came = ", ".join(f"'{name[:40]}'" for name in parts) or "no file"
            message = f"Upload '{upload.name}': the request has no file '{upload.part[:80]}'; with it came {came}."
            raise UsageError(message, parameter="UPLOAD")
    return parts.__getitem__
