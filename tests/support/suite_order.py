"""In which order tests run, and which stay together when several processes run them.

One process runs what is quick first: plain tests, then those with real catalogues, a cluster, the
running platform, the browser.
Several (`pytest -n`) begin with what is slow, so that at the end none is left alone with it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pachon.core.imports import quick_imports

SLOW = ("catalogues", "cluster", "stack", "browser")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from support.suite_sharing import TogetherScheduling  # noqa: PLC0415 -- only several processes need its package

    return TogetherScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collecting imports the platform, the hub, the Portal and JupyterLab."""
    with quick_imports():
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_one_of_several = hasattr(config, "workerinput")
    items.sort(key=_slowness, reverse=is_one_of_several)


def _slowness(item: pytest.Item) -> int:
    return max((1 + SLOW.index(mark.name) for mark in item.iter_markers() if mark.name in SLOW), default=0)
