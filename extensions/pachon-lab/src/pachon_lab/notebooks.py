"""Notebooks of queries, laid into the lab by its contents manager: a file that is there is never overwritten."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import nbformat
from jupyter_server.services.contents.manager import ContentsManager
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from pachon_lab.errors import LabError
from pachon_lab.rendering import TIE

_MAX_NAME = 60
_MAX_COPIES = 50
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class NotebookShelf:
    """The folder of notebooks that were made of queries.

    Parameters
    ----------
    folder
        Path below the lab's root folder, with `/`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = asyncio.Lock()

    async def lay(
        self, contents: ContentsManager, notebook: nbformat.NotebookNode, *, name: str, is_fresh: bool
    ) -> tuple[str, bool]:
        """Keep a notebook under the first free name, unless there is one of the same version already.

        Parameters
        ----------
        contents
            The lab's contents manager, of any kind.
        name
            Name of the query.
        is_fresh
            Whether a new one is wanted in any case.

        Returns
        -------
        path, is_new

        Raises
        ------
        LabError
            It cannot be written; the sentence says why.
        """
        stem = f"{_slug(name)}-{notebook.metadata[TIE]['query_id']}"
        async with self._lock:
            try:
                await self._make_folder(contents)
                for number in range(1, _MAX_COPIES + 1):
                    path = f"{self._folder}/{stem}{'' if number == 1 else f'-{number}'}.ipynb"
                    if not await _of(contents.file_exists, path):
                        model = {"type": "notebook", "format": "json", "content": notebook}
                        await _of(contents.save, model, path)
                        return path, True
                    if not is_fresh and await _tie_of(contents, path) == notebook.metadata[TIE]:
                        return path, False
            except (HTTPError, OSError) as error:
                reason = (error.log_message if isinstance(error, HTTPError) else error.strerror) or str(error)
                raise LabError(f"The notebook cannot be written to {self._folder}/: {reason}.", status=500) from None
        told = f"There are {_MAX_COPIES} notebooks of this query in {self._folder}/ already: delete or rename some."
        raise LabError(told, status=409)

    async def _make_folder(self, contents: ContentsManager) -> None:
        if not await _of(contents.dir_exists, self._folder):
            await _of(contents.save, {"type": "directory"}, self._folder)


async def _tie_of(contents: ContentsManager, path: str) -> Any:  # noqa: ANN401 -- whatever a person's file has there
    """What a notebook says it was made from; None if it cannot be read."""
    try:
        found = await _of(contents.get, path)
        return found["content"]["metadata"].get(TIE)
    except (HTTPError, OSError, LookupError, AttributeError, TypeError):
        return None


async def _of(method: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401 -- contents managers are untyped
    """What a contents manager answers, be it of the kind that blocks or not."""
    return await ensure_async(method(*given))


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_NAMES.sub("-", plain).strip("-")[:_MAX_NAME].strip("-") or "query"
