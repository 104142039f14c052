"""What several test processes share out, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from support import suite_order

ONE, ONE_OF_SEVERAL = SimpleNamespace(), SimpleNamespace(workerinput={})


@dataclass
class Item:
    """What the plugin asks of a test."""

    nodeid: str
    marks: list[pytest.Mark] = field(default_factory=list)

    def iter_markers(self, name: str | None = None) -> Iterator[pytest.Mark]:
        return (mark for mark in self.marks if name in {None, mark.name})

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next(self.iter_markers(name), None)

    def add_marker(self, marker: pytest.MarkDecorator) -> None:
        self.marks.append(marker.mark)


def suite() -> list[Item]:
    """Two modules of which the second shares a platform with others, and two that read the real catalogues."""
    shared = [pytest.mark.stack.mark, pytest.mark.xdist_group("one platform").mark]
    return [
        Item("sky.py::test_a"),
        Item("sky.py::test_b[::]"),
        Item("jobs.py::test_c", shared),
        Item("tycho.py::test_d", [pytest.mark.catalogues.mark]),
        Item("readme.py::test_e", [pytest.mark.catalogues.mark, pytest.mark.browser.mark]),
    ]


def test_one_process_begins_with_what_is_quick() -> None:
    tests = suite()[::-1]
    suite_order.pytest_collection_modifyitems(ONE, tests)
    assert [test.nodeid[-1] for test in tests] == ["]", "a", "d", "c", "e"]


def test_several_begin_with_what_is_slow_and_keep_together_what_shares_a_module_a_platform_or_the_catalogues() -> None:
    tests = suite()
    suite_order.pytest_collection_modifyitems(ONE_OF_SEVERAL, tests)
    groups = [test.get_closest_marker("xdist_group").args[0] for test in tests]
    assert groups == ["catalogues", "one platform", "catalogues", "sky.py", "sky.py"]
