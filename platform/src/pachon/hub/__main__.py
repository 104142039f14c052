"""Runs JupyterHub: `python -m pachon.hub --config ...`, with JupyterHub's own options."""

from __future__ import annotations

import sys

from pachon.core.imports import quick_imports

_NEVER_ASKED = "rfc3987_syntax"
"""Checks international addresses in JSON schemas, which no schema of JupyterHub's asks for. Its grammar takes a second
to build at import; the package that would use it takes its absence as it is."""


def main() -> None:
    """Run until a signal ends it."""
    sys.modules[_NEVER_ASKED] = None  # type: ignore[assignment] # the documented way to make an import fail
    with quick_imports():
        from jupyterhub.app import main as run  # noqa: PLC0415 -- after what it shall not import
    run()


if __name__ == "__main__":
    main()
