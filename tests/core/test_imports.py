from __future__ import annotations

import importlib
import sys

import pytest

from pachon.core.imports import quick_imports

UNUSED = "wave"


def test_a_module_that_a_process_does_without_is_as_good_as_not_installed() -> None:
    assert UNUSED not in sys.modules
    try:
        with quick_imports(without=(UNUSED,)), pytest.raises(ImportError):
            importlib.import_module(UNUSED)
    finally:
        del sys.modules[UNUSED]
    assert importlib.import_module(UNUSED)
