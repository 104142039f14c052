"""With CI=true, a test skipped for want of a program fails: continuous integration must not pass by leaving out.

Loaded with `-p support.strict_skips`. Such a skip says in its reason what is missing; other skips stay skips.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import TypeVar

import pytest

_MISSING = re.compile(r"\bmissing\b", re.IGNORECASE)
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged((yield))


def _judged(report: Report) -> Report:
    if report.skipped and os.environ.get("CI") == "true" and _MISSING.search(_reason(report)):
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)} (a skip for a missing tool is a failure with CI=true)"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
