"""What happens when a lab starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join

from pachon_lab.doors import Doors
from pachon_lab.handlers import ConfigHandler
from pachon_lab.notebooks import NotebookShelf
from pachon_lab.queries import QueryService
from pachon_lab.query_handlers import (
    CancelHandler,
    EventsHandler,
    NotebookHandler,
    PanelHandler,
    Parts,
    QueryHandler,
    RunHandler,
)
from pachon_lab.rendering import Templates
from pachon_lab.tutorials import install, shipped_tutorials
from pachon_lab.web_api import WebApi

FIRST_TUTORIAL = "01-first-light.ipynb"
_AGENT = "pachon-lab/0.1.0"
_ID = "([0-9a-z]{1,40})"


def load(server: ServerApp) -> None:
    """Lay the tutorials into the home and answer the front end. A home that cannot be written is logged, no more."""
    root = Path(server.root_dir).resolve()
    folder = folder_in_home("tutorials", root, Path.home().resolve())
    try:
        written = install(shipped_tutorials(), folder)
    except OSError as error:
        server.log.warning("The tutorials were not laid into %s: %s", folder, error)
    else:
        server.log.info("Tutorials in %s: %s", folder, ", ".join(written) or "nothing new")
    tutorial = (folder / FIRST_TUTORIAL).relative_to(root).as_posix()
    queries = folder_in_home("queries", root, Path.home().resolve()).relative_to(root).as_posix()
    config = {"doors": Doors.from_environment(os.environ), "tutorial": tutorial}
    _answer(server, [("config", ConfigHandler, config), *_query_addresses(os.environ, queries)])


def folder_in_home(name: str, root: Path, home: Path) -> Path:
    """A folder in the home; in the lab's root folder when the home cannot be seen from there."""
    return (home if home.is_relative_to(root) else root) / name


def _query_addresses(environment: Mapping[str, str], folder: str) -> list[tuple[str, type, dict[str, Any]]]:
    api_url, token = environment.get("PACHON_API_URL", ""), environment.get("JUPYTERHUB_API_TOKEN", "")
    api = WebApi(api_url, token, agent=_AGENT)
    templates = environment.get("PACHON_NOTEBOOK_TEMPLATES")
    parts = Parts(
        api=api,
        queries=QueryService(api),
        templates=Templates(Path(templates) if templates else None),
        shelf=NotebookShelf(folder),
    )
    handlers = {
        "queries": PanelHandler,
        "queries/events": EventsHandler,
        f"queries/{_ID}": QueryHandler,
        f"queries/{_ID}/run": RunHandler,
        f"queries/{_ID}/notebook": NotebookHandler,
        f"jobs/{_ID}/cancel": CancelHandler,
    }
    return [(address, handler, {"parts": parts}) for address, handler in handlers.items()]


def _answer(server: ServerApp, addresses: list[tuple[str, type, dict[str, Any]]]) -> None:
    base_url = server.web_app.settings["base_url"]
    rules = [(url_path_join(base_url, "pachon", address), handler, given) for address, handler, given in addresses]
    server.web_app.add_handlers(".*$", rules)  # type: ignore[no-untyped-call]
