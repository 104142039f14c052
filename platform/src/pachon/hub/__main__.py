"""Runs JupyterHub: `pachon serve hub`, or `python -m pachon.hub --config ...` with JupyterHub's own options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pachon.core.imports import quick_imports
from pachon.hub import NEVER_ASKED

if TYPE_CHECKING:
    from pachon.app.settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until a signal ends it, with these options or those of the command line."""
    with quick_imports(without=NEVER_ASKED):
        from jupyterhub.app import main as run  # noqa: PLC0415 -- after what it shall not import
    run(arguments)


def serve(settings: Settings) -> None:
    """Run with the platform's own configuration, which reads the same settings."""
    del settings
    main(["--config", str(Path(__file__).with_name("jupyterhub_config.py"))])


if __name__ == "__main__":
    main()
