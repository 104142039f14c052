"""Runs JupyterHub: `python -m pachon.hub --config ...`, with JupyterHub's own options."""

from __future__ import annotations

from pachon.core.imports import quick_imports
from pachon.hub import NEVER_ASKED


def main() -> None:
    """Run until a signal ends it."""
    with quick_imports(without=NEVER_ASKED):
        from jupyterhub.app import main as run  # noqa: PLC0415 -- after what it shall not import
    run()


if __name__ == "__main__":
    main()
