"""What happens when a lab starts."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join

from pachon_lab.doors import Doors
from pachon_lab.handlers import ConfigHandler
from pachon_lab.tutorials import install, shipped_tutorials

FIRST_TUTORIAL = "01-first-light.ipynb"


def load(server: ServerApp) -> None:
    """Lay the tutorials into the home and answer the front end. A home that cannot be written is logged, no more."""
    root = Path(server.root_dir).resolve()
    folder = tutorials_folder(root, Path.home().resolve())
    try:
        written = install(shipped_tutorials(), folder)
    except OSError as error:
        server.log.warning("The tutorials were not laid into %s: %s", folder, error)
    else:
        server.log.info("Tutorials in %s: %s", folder, ", ".join(written) or "nothing new")
    tutorial = (folder / FIRST_TUTORIAL).relative_to(root).as_posix()
    address = url_path_join(server.web_app.settings["base_url"], "pachon", "config")
    parts = {"doors": Doors.from_environment(os.environ), "tutorial": tutorial}
    server.web_app.add_handlers(".*$", [(address, ConfigHandler, parts)])  # type: ignore[no-untyped-call]


def tutorials_folder(root: Path, home: Path) -> Path:
    """`tutorials` in the home; in the lab's root folder when the home cannot be seen from there."""
    return (home if home.is_relative_to(root) else root) / "tutorials"
