"""Large imports at the start of a process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the block without the garbage collector, which otherwise walks through all modules again and again.

    What was imported lives as long as the process, so the collector leaves it alone afterwards too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
