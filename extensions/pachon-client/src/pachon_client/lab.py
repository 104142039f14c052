"""What every IPython of this environment loads: the magic where a platform has started it, elsewhere nothing."""

from __future__ import annotations

import os
from typing import Any


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 -- IPython is optional
    """Load `pachon_client` where the platform has said its address (`PACHON_API_URL`)."""
    if os.environ.get("PACHON_API_URL"):
        shell.extension_manager.load_extension("pachon_client")
