"""An answer to a query with uploads: they are converted when its first rows are wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from pachon.core.errors import UnavailableError
from pachon.core.fields import Field
from pachon.queries.models import Answer
from pachon.queries.service import Uploads
from pachon.queries.uploads.models import Upload
from pachon.queries.uploads.staging import Found, Staging

Ask = Callable[[Uploads], Answer]
"""Runs the query with its tables."""


class UploadAnswer:
    """Has what `queries.models.Answer` has. Asking for the fields, or the first batch, converts and asks; it blocks.

    Parameters
    ----------
    uploads, find
        What is uploaded, and where each part is.
    staging
        Converts them.
    ask
        Runs the query with its tables.
    on_close
        Called once at the end: removes the files.
    """

    def __init__(
        self,
        uploads: Sequence[Upload],
        find: Found,
        staging: Staging,
        *,
        ask: Ask,
        on_close: Callable[[], None],
    ) -> None:
        self._uploads = uploads
        self._find = find
        self._staging = staging
        self._ask = ask
        self._on_close: Callable[[], None] | None = on_close
        self._turn = threading.Lock()
        self._answer: Answer | None = None
        self._is_closed = False
        self.batches = self._rows()

    @property
    def execution_id(self) -> str:
        """Id of the execution."""
        return self._opened().execution_id

    @property
    def fields(self) -> tuple[Field, ...]:
        """Columns of the rows."""
        return self._opened().fields

    @property
    def tables(self) -> tuple[str, ...]:
        """Qualified names of the tables that are read."""
        return self._opened().tables

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the query may not mean."""
        return self._opened().warnings

    @property
    def overflow(self) -> bool:
        """After the last batch: whether there were more rows than allowed."""
        return self._opened().overflow

    def close(self) -> None:
        """Stop converting and reading, and remove the files. Safe to call more than once, and from another thread."""
        self._staging.stop()
        with self._turn:
            self._is_closed = True
            answer, on_close, self._on_close = self._answer, self._on_close, None
        if answer is not None:
            answer.close()
        if on_close is not None:
            on_close()

    def _rows(self) -> Iterator[pa.RecordBatch]:
        yield from self._opened().batches

    def _opened(self) -> Answer:
        with self._turn:
            if self._answer is not None:
                return self._answer
        tables = [table.snapshot for table in self._staging.tables(self._uploads, self._find)]
        answer = self._ask({each.table.qualified_name: each for each in tables})
        with self._turn:
            self._answer, is_late = answer, self._is_closed
        if is_late:
            answer.close()
            raise UnavailableError("The query was stopped.", retry_after_s=1)
        return answer
