"""Pre-flight estimates of the whole corpus: how near they come to the truth, and how long they take."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.figures import ROOT, Figure, save
from bench.timing import p95_ms
from pachon.queries.estimate.models import Estimate
from support.corpus import REAL, SYNTHETIC, Question, make_corpus_skies
from support.estimates import Estimator, estimator
from support.profiling import Measured, factor, measure
from support.stores import snapshot_of

_RELEASES = ROOT / "var" / "releases"
_PATHS = ("platform/src/pachon/queries/estimate", "tests/support/corpus.py")
_ROUNDS = 5
_LIMIT_MS = 100.0
_SHARE = 0.9

pytestmark = [pytest.mark.catalogues]


@dataclass(frozen=True)
class Case:
    """One query with its truth and its estimate, and where to estimate it again."""

    question: Question
    estimator: Estimator
    true: Measured
    found: Estimate


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, Path, tuple[Question, ...]], ...]:
    skies = tmp_path_factory.mktemp("skies")
    make_corpus_skies(skies)
    kept = tmp_path_factory.mktemp("statistics")
    return (skies, kept / "skies", SYNTHETIC), (_RELEASES, kept / "real", REAL)


@pytest.fixture(scope="module")
def cases(folders: tuple[tuple[Path, Path, tuple[Question, ...]], ...]) -> list[Case]:
    found = []
    for releases, kept, questions in folders:
        known = estimator(releases, kept)
        for question in questions:
            plan = known.plan(question.adql)
            found.append(Case(question, known, measure(plan), known.estimate(question.adql)))
    return found


def test_nine_of_ten_estimates_are_within_a_factor_of_three(cases: list[Case]) -> None:
    note = f"{len(cases)} queries of the fixed corpus, on synthetic skies, Tycho-2 and Hipparcos"
    rows = [factor(case.found.rows, case.true.rows) <= 3 for case in cases]
    sizes = [factor(case.found.bytes_scanned, case.true.size_bytes) <= 3 for case in cases]
    times = [1 / 3 <= case.found.seconds / case.true.seconds <= 3 for case in cases if case.true.seconds > 0.02]
    figures = [
        _share("rows estimated within a factor 3", rows, note),
        _share("bytes estimated within a factor 3", sizes, note),
        _share("seconds estimated within a factor 3", times, f"{note}; those of more than 20 ms", least=0.5),
    ]
    save(figures)
    assert all(figure.passed for figure in figures), figures


def test_an_estimate_takes_less_than_100_ms(
    cases: list[Case], folders: tuple[tuple[Path, Path, tuple[Question, ...]], ...]
) -> None:
    warm = [_seconds(case.estimator, case.question) for _ in range(_ROUNDS) for case in cases]
    cold = [
        _first_seconds(estimator(releases, kept), question)
        for releases, kept, questions in folders
        for question in questions
    ]
    load = f"load {os.getloadavg()[0]:.1f}"
    figures = [
        _time("estimate of a query, warm, p95", p95_ms(warm), f"{len(cases)} queries, {_ROUNDS} rounds; {load}"),
        _time("estimate of a query, statistics on disk only, p95", p95_ms(cold), f"first after a start; {load}"),
    ]
    save(figures)
    assert all(figure.passed for figure in figures), figures


def test_statistics_of_tycho2_are_learnt_within_ten_seconds(tmp_path: Path) -> None:
    known = estimator(_RELEASES, tmp_path / "statistics")
    snapshot = snapshot_of(known.store, "tycho2.stars")
    start = time.perf_counter()
    known.statistics.of(snapshot)
    seconds = time.perf_counter() - start
    figure = Figure(
        name="statistics of a table learnt, 2.5 M rows, 39 columns",
        value=round(seconds, 1),
        unit="s",
        target="< 10",
        passed=seconds < 10,
        paths=_PATHS,
        note=f"once a release; load {os.getloadavg()[0]:.1f}",
    )
    save([figure])
    assert figure.passed, figure


def _seconds(known: Estimator, question: Question) -> float:
    start = time.perf_counter()
    known.estimate(question.adql)
    return time.perf_counter() - start


def _first_seconds(known: Estimator, question: Question) -> float:
    known.plan(question.adql)  # reads the releases, as every query does after a start
    return _seconds(known, question)


def _share(name: str, right: list[bool], note: str, *, least: float = _SHARE) -> Figure:
    share = sum(right) / len(right)
    return Figure(
        name=name,
        value=round(100 * share, 1),
        unit="%",
        target=f">= {100 * least:g}",
        passed=share >= least,
        paths=_PATHS,
        note=note,
    )


def _time(name: str, value: float, note: str) -> Figure:
    passed = value < _LIMIT_MS
    return Figure(
        name=name,
        value=round(value, 1),
        unit="ms",
        target=f"< {_LIMIT_MS:g}",
        passed=passed,
        paths=_PATHS,
        note=note,
    )
