"""Large imports at the start of a process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports(*, without: tuple[str, ...] = ()) -> Iterator[None]:
    """Import in the block without the garbage collector, which otherwise walks through all modules again and again.

    What was imported lives as long as the process, so the collector leaves it alone afterwards too.

    Parameters
    ----------
    without
        Modules that this process shall take as not installed, from now on.
    """
    sys.modules.update(dict.fromkeys(without))  # type: ignore[arg-type] # the documented way to make an import fail
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
