"""Runs what is quick first: plain tests, then those with real catalogues, the running platform, the browser."""

from __future__ import annotations

import pytest

SLOW = ("catalogues", "stack", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_slowness)


def _slowness(item: pytest.Item) -> int:
    return max((1 + SLOW.index(mark.name) for mark in item.iter_markers() if mark.name in SLOW), default=0)
