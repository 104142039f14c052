"""Shows the tutorial notebooks as pages: `<!-- notebook: <name> -->` becomes the text and the cells of that notebook.

Notebooks are stored without outputs, and so are the pages: figures are for the lab, where the notebooks run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
_MARKER = re.compile(r"<!-- notebook: ([\w.-]+) -->")
_HOW = (
    "```{note}\nThis is `tutorials/%s` in the home of every lab: run it there, figures and all. Change what you "
    "like; a deleted notebook comes back fresh with the next start of the lab.\n```"
)


def notebook_page(name: str) -> str:
    """Markdown of a notebook: its title, how to run it, and then all cells."""
    title, *cells = json.loads((NOTEBOOKS / name).read_text())["cells"]
    heading, _, rest = _source(title).partition("\n")
    return "\n\n".join([heading, _HOW % name, rest.strip(), *map(_cell, cells)])


def _cell(cell: dict[str, Any]) -> str:
    return _source(cell) if cell["cell_type"] == "markdown" else f"```ipython3\n{_source(cell)}\n```"


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _fill(app: Sphinx, document: str, source: list[str]) -> None:
    for name in _MARKER.findall(source[0]):
        app.env.note_dependency(NOTEBOOKS / name, docname=document)
    source[0] = _MARKER.sub(lambda found: notebook_page(found[1]), source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"version": "1", "parallel_read_safe": True}
