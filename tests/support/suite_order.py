"""In which order tests run, and which stay together when several processes run them.

One process runs what is quick first: plain tests, then those with real catalogues, the running platform, the browser.
Several (`pytest -n`) begin with what is slow, so that at the end none is left alone with it. The tests of a module
share a process, as do those of the real catalogues, and modules whose mark `xdist_group` names what they share.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pachon.core.imports import quick_imports

SLOW = ("catalogues", "stack", "browser")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collecting imports the platform, the hub, the Portal and JupyterLab."""
    with quick_imports():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_one_of_several = hasattr(config, "workerinput")
    items.sort(key=_slowness, reverse=is_one_of_several)
    if is_one_of_several:
        for item in items:
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(_group(item)))


def _slowness(item: pytest.Item) -> int:
    return max((1 + SLOW.index(mark.name) for mark in item.iter_markers() if mark.name in SLOW), default=0)


def _group(item: pytest.Item) -> str:
    return "catalogues" if item.get_closest_marker("catalogues") else item.nodeid.partition("::")[0]
