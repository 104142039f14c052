"""A copy of a release from another platform: what is missing, taken up where it was broken off, every byte verified.

Files come to `<folder>/<release id>`, each by a rename when its digest is right; what is under way lies in the hidden
folder `<folder>/.mirror-<release id>`. The release's own files come last, so that no platform serves half a mirror.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from pachon.core.errors import SetupError, UnavailableError
from pachon.releases.manifest import MANIFEST, Manifest, sha256_of
from pachon.releases.models import StoredFile
from pachon.releases.registry import bring_to_disk
from pachon.releases.remote import FileRefusedError, Remote

_WAITING_PER_JOB = 4
_MOST_FAILURES, _SHOWN_FAILURES = 100, 3


class Progress(Protocol):
    """Where progress goes; called from several threads."""

    def expect(self, files: int, size_bytes: int) -> None:
        """How much there is in all."""
        ...

    def add(self, size_bytes: int) -> None:
        """So many bytes more are here and right, or are on their way."""
        ...


@dataclass(slots=True)
class Outcome:
    """What a mirror did; failures are one sentence a file."""

    present: int = 0
    fetched: int = 0
    failures: list[str] = field(default_factory=list)


class Mirror:
    """The copy of one release in a folder.

    Parameters
    ----------
    remote
        The release on the other platform.
    folder
        Where copies are kept; the copy is `<folder>/<release id>`.
    """

    def __init__(self, remote: Remote, folder: Path, progress: Progress) -> None:
        self._remote = remote
        self._progress = progress
        self._target = folder.resolve() / remote.release_id
        self._state = folder.resolve() / f".mirror-{remote.release_id}"

    def run(self, *, jobs: int, under: str = "") -> Outcome:
        """Bring the copy up to date; run again, it finds nothing to do.

        Parameters
        ----------
        jobs
            Files that are fetched at once.
        under
            Only what is in this folder of the release.

        Raises
        ------
        SetupError
            If the platform or the folder does not allow it, another process is at it, or a file cannot be had:
            all others are there then.
        """
        with _only_one(self._state):
            self._remote.save_list(self._state / MANIFEST, under=under)
            listed = Manifest(self._state)
            self._progress.expect(*_totals(listed))
            outcome = Outcome()
            for of_release in (False, True):
                files = (each for each in listed if (not each.part) is of_release)
                if not outcome.failures:
                    self._bring_all(files, outcome, jobs=jobs)
            if outcome.failures:
                raise SetupError(_told(outcome.failures, self._target))
            shutil.rmtree(self._state)
        return outcome

    def _bring_all(self, files: Iterator[StoredFile], outcome: Outcome, *, jobs: int) -> None:
        pending: set[Future[bool]] = set()
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for each in files:
                    pending.add(pool.submit(self._bring, each))
                    if len(pending) >= _WAITING_PER_JOB * jobs:
                        pending = self._collect(pending, outcome)
                while pending:
                    pending = self._collect(pending, outcome)
            except BaseException:
                self._remote.stop()
                pool.shutdown(cancel_futures=True)
                raise

    @staticmethod
    def _collect(pending: set[Future[bool]], outcome: Outcome) -> set[Future[bool]]:
        """Note those that have ended; an error that concerns more than one file is raised."""
        done, still_pending = wait(pending, return_when=FIRST_COMPLETED)
        for each in done:
            try:
                was_there = each.result()
            except FileRefusedError as error:
                outcome.failures.append(error.message)
                if len(outcome.failures) >= _MOST_FAILURES:
                    raise SetupError(f"{_MOST_FAILURES} files could not be had; the last: {error.message}") from None
            else:
                outcome.present += was_there
                outcome.fetched += not was_there
        return still_pending

    def _bring(self, file: StoredFile) -> bool:
        """Have one file in its place; whether it was there."""
        place = self._place(file.path)
        if place.is_file() and place.stat().st_size == file.size_bytes and sha256_of(place) == file.sha256:
            self._progress.add(file.size_bytes)
            return True
        name = hashlib.sha256(f"{file.sha256} {file.path}".encode()).hexdigest()
        part = self._state / f"{name[:32]}.part"
        self._fetch(file, part)
        bring_to_disk(part)
        place.parent.mkdir(parents=True, exist_ok=True)
        part.replace(place)
        return False

    def _fetch(self, file: StoredFile, part: Path) -> None:
        """Fill the partial file; one of which what was there is not right is fetched a second time from its start."""
        for is_resumed in (part.exists(), False):
            with part.open("a+b" if is_resumed else "w+b") as written:
                written.seek(0)
                digest = hashlib.file_digest(written, "sha256")
                start = written.tell()
                if start <= file.size_bytes:
                    self._progress.add(start)
                    for piece in self._remote.pieces(file, start):
                        written.write(piece)
                        digest.update(piece)
                        self._progress.add(len(piece))
                    if digest.hexdigest() == file.sha256:
                        return
                    self._progress.add(-file.size_bytes)
            part.unlink(missing_ok=True)
            if not is_resumed:
                raise FileRefusedError(f"{file.path} arrived with another digest than the platform's list says.")

    def _place(self, path: str) -> Path:
        """Where a file goes, which is never outside the copy whatever the other platform says."""
        parts = PurePosixPath(path).parts
        place = self._target.joinpath(*parts)
        is_plain = bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
        if not is_plain or not place.resolve().is_relative_to(self._target):
            raise SetupError(
                f"The platform lists a file outside its release, '{path[:80]}'; nothing like it is written."
            )
        return place


@contextlib.contextmanager
def _only_one(state: Path) -> Iterator[None]:
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise SetupError(f"Nothing can be written to {state.parent}: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"Another process mirrors to {state.parent}; wait until it is done.") from None
        try:
            yield
        except OSError as error:
            raise SetupError(f"{error.filename or state.parent}: {error.strerror or error}.") from None


def _totals(listed: Manifest) -> tuple[int, int]:
    """Number of files, and their bytes."""
    files, size_bytes = 0, 0
    try:
        for each in listed:
            files += 1
            size_bytes += each.size_bytes
    except UnavailableError:
        raise SetupError("The platform's list of files cannot be read; is its version as new as this one?") from None
    if not files:
        raise SetupError("The platform lists no files here; leave --under out, or give a folder of the release.")
    return files, size_bytes


def _told(failures: list[str], target: Path) -> str:
    shown = " ".join(failures[:_SHOWN_FAILURES])
    rest = f" And {len(failures) - _SHOWN_FAILURES} more." if len(failures) > _SHOWN_FAILURES else ""
    return f"{len(failures)} of the files could not be had, the others are in {target}: {shown}{rest}"
