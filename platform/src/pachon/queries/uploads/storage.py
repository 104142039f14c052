"""The folder where uploads lie while their query runs: whatever ends the query, or this process, they go."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pachon.core.errors import LimitError, UnavailableError
from pachon.core.ids import new_id
from pachon.core.own_folder import OwnFolder
from pachon.queries.uploads.models import UploadLimits

_PRIVATE = 0o700
_RETRY_AFTER_S = 60


def file_name(part: str) -> str:
    """Name of the file that holds a part of a request: parts are named by people, files are not."""
    return hashlib.sha256(part.encode()).hexdigest()[:32]


class UploadSet:
    """What one request brings along.

    Parameters
    ----------
    folder
        Made when the first part comes.
    """

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self.folder = folder
        self._limits = limits
        self._parts: dict[str, Path] = {}

    @property
    def parts(self) -> Mapping[str, Path]:
        """Files by name of the part."""
        return self._parts

    def receive(self, part: str) -> ReceivedPart:
        """Begin to receive a part.

        Raises
        ------
        LimitError
            If there are too many.
        UnavailableError
            If the disk is too full.
        """
        if len(self._parts) >= self._limits.max_tables:
            message = f"The request brings more than the {self._limits.max_tables} files allowed."
            raise LimitError(message, parameter="UPLOAD")
        check_room(self.folder.parent, self._limits)
        self.folder.mkdir(mode=_PRIVATE, exist_ok=True)
        path = self._parts[part] = self.folder / file_name(part)
        return ReceivedPart(part, path, self._limits)

    def remove(self) -> None:
        """Delete all files."""
        shutil.rmtree(self.folder, ignore_errors=True)


class ReceivedPart:
    """A part on its way to disk. Must be closed."""

    def __init__(self, part: str, path: Path, limits: UploadLimits) -> None:
        self._part = part
        self._limits = limits
        self._size_bytes = 0
        self._file: BinaryIO = path.open("wb")

    def write(self, data: bytes) -> None:
        """Keep some bytes more; blocks.

        Raises
        ------
        LimitError
            If they are too many.
        UnavailableError
            If the disk is full.
        """
        self._size_bytes += len(data)
        if self._size_bytes > self._limits.max_bytes:
            allowed = f"the {self._limits.max_bytes:,} bytes allowed; send fewer rows or columns"
            raise LimitError(f"The file '{self._part[:80]}' is larger than {allowed}.", parameter="UPLOAD")
        check_room(Path(self._file.name).parent, self._limits)
        self._file.write(data)

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def check_room(folder: Path, limits: UploadLimits) -> None:
    """Leave the reserve of the disk free.

    Raises
    ------
    UnavailableError
        If it is not.
    """
    if shutil.disk_usage(folder).free < limits.reserve_bytes:
        message = "There is too little room on disk for uploads now; please try again later."
        raise UnavailableError(message, retry_after_s=_RETRY_AFTER_S)


class UploadFolder:
    """Where this process keeps the uploads of requests under way.

    Parameters
    ----------
    root
        Folder of all processes of this machine; made with access for this account alone.
    """

    def __init__(self, root: Path, limits: UploadLimits) -> None:
        self._limits = limits
        self._own = OwnFolder(root)

    def new_set(self) -> UploadSet:
        """A place for what one request brings along."""
        return UploadSet(self._own.path / new_id(), self._limits)

    def close(self) -> None:
        """Remove everything."""
        self._own.close()
