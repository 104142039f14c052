"""Notebooks made of a query by templates: notebooks whose cells are texts of Jinja."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pachon_client.snippets import python_literal
from pachon_lab.errors import LabError

DEFAULT = "query"
TIE = "pachon"
"""Name of the metadata, of a notebook or a cell, that name the query and the version they were made from."""

_MAX_BYTES = 4 * 1024 * 1024
_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Templates:
    """The templates of this platform.

    Parameters
    ----------
    folder
        An administrator's templates, `<name>.ipynb`; one named `query` takes the place of the default.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        # Cells are Python and Markdown: what a page would need escaped, JupyterLab sanitizes.
        self._jinja = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
        )
        self._jinja.filters |= {"python": python_literal, "shell": shlex.quote, "line": _on_one_line}

    def names(self) -> list[str]:
        """Names of the templates, the default first."""
        return sorted(self._paths(), key=lambda name: (name != DEFAULT, name))

    def render(self, name: str, query: Mapping[str, Any]) -> nbformat.NotebookNode:
        """The notebook that a template makes of a query; cells that come out empty are left out.

        Parameters
        ----------
        name
            Name of the template.
        query
            Document of the query, with `snippets` and `address`.

        Raises
        ------
        LabError
            There is no such template, or it fails: the sentence names the cell.
        """
        path = self._paths().get(name)
        if path is None:
            raise LabError(f"There is no template '{name[:80]}'; there are {', '.join(self.names())}.", status=404)
        notebook = _read(path)
        tie = {"query_id": query["id"], "version": query["current"]["number"]}
        cells = []
        for number, cell in enumerate(notebook.cells, start=1):
            try:
                cell.source = self._jinja.from_string(cell.source).render(query=query)
            except _FAULTS as error:
                raise LabError(f"The template {path.name} fails in cell {number}: {error}.", status=500) from None
            cell.metadata[TIE] = tie
            cells += [cell] if cell.source.strip() else []
        notebook.cells = cells
        notebook.metadata[TIE] = tie
        return notebook

    def _paths(self) -> dict[str, Path]:
        shipped = Path(str(files("pachon_lab"))) / "templates"
        folders = [shipped] if self._folder is None else [shipped, self._folder]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("*.ipynb"))}


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise LabError(f"The template {path.name} is larger than {_MAX_BYTES // 1024**2} MB.", status=500)
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
    except (OSError, nbformat.ValidationError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise LabError(f"The template {path.name} cannot be read as a notebook: {reason}.", status=500) from None
    return notebook


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
