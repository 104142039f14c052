"""The folder of notebooks of queries, where the disk is full."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_server.services.contents.filemanager import FileContentsManager

from pachon_lab.errors import LabError
from pachon_lab.notebooks import NotebookShelf
from pachon_lab.rendering import TIE

NAME = "pleiades-01jd"


class OnAFullDisk(FileContentsManager):
    """The contents manager of a lab whose disk takes no more bytes of notebooks."""

    def _save_notebook(self, *_given: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_in_one_sentence_and_every_file_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    mine = tmp_path / "queries" / f"{NAME}.ipynb"
    mine.write_text("mine")
    notebook = nbformat.v4.new_notebook(metadata={TIE: {"query_id": "01jd", "version": 2}})
    full = OnAFullDisk(root_dir=str(tmp_path))
    with pytest.raises(
        LabError, match=r"^The notebook cannot be written to queries/: .*No space left on device"
    ) as told:
        asyncio.run(NotebookShelf("queries").lay(full, notebook, name="Pleiades", is_fresh=False))
    assert "\n" not in str(told.value)
    assert [(path.name, path.read_text()) for path in (tmp_path / "queries").iterdir()] == [(mine.name, "mine")]
