"""The fixed corpus scores the estimates against what the engine really does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from support.corpus import SYNTHETIC, make_corpus_skies
from support.estimates import Estimator, estimator
from support.profiling import Measured, factor, measure


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    root = tmp_path_factory.mktemp("corpus")
    make_corpus_skies(root)
    return estimator(root, tmp_path_factory.mktemp("statistics") / "kept", sample_rows=16_384)


@pytest.fixture(scope="module")
def truth(corpus: Estimator) -> dict[str, Measured]:
    return {question.adql: measure(corpus.plan(question.adql)) for question in SYNTHETIC}


def test_the_rows_of_nine_queries_of_ten_are_estimated_within_a_factor_of_three(
    corpus: Estimator, truth: dict[str, Measured]
) -> None:
    wrong = [adql for adql, true in truth.items() if factor(corpus.estimate(adql).rows, true.rows) > 3]
    assert len(truth) >= 60
    assert len(wrong) <= len(truth) / 10, wrong


def test_the_bytes_of_nine_queries_of_ten_are_estimated_within_a_factor_of_three(
    corpus: Estimator, truth: dict[str, Measured]
) -> None:
    wrong = [adql for adql, true in truth.items() if factor(corpus.estimate(adql).bytes_scanned, true.size_bytes) > 3]
    assert len(wrong) <= len(truth) / 10, wrong


def test_the_stated_range_holds_the_true_rows_of_nine_queries_of_ten(
    corpus: Estimator, truth: dict[str, Measured]
) -> None:
    found = {adql: corpus.estimate(adql) for adql in truth}
    outside = [adql for adql, true in truth.items() if not found[adql].rows_low <= true.rows <= found[adql].rows_high]
    assert len(outside) <= len(truth) / 10, outside
    widths = [(each.rows_high + 1) / (each.rows_low + 1) for each in found.values()]
    assert np.median(widths) < 3


def test_what_is_called_exact_is_exact(corpus: Estimator, truth: dict[str, Measured]) -> None:
    exact = {adql: each for adql in truth if (each := corpus.estimate(adql)).confidence.value == "exact"}
    assert exact
    assert {adql: each.rows for adql, each in exact.items()} == {adql: truth[adql].rows for adql in exact}


def test_an_estimate_takes_less_than_a_tenth_of_a_second_of_one_core(corpus: Estimator) -> None:
    taken_s = []
    for question in SYNTHETIC:
        began_s = time.process_time()
        corpus.estimate(question.adql)
        taken_s.append(time.process_time() - began_s)
    assert np.median(taken_s) < 0.1


def test_an_estimate_repeats_itself_also_after_a_restart(corpus: Estimator, tmp_path: Path) -> None:
    questions = [question.adql for question in SYNTHETIC[::9]]
    again = estimator(corpus.releases, tmp_path / "other", sample_rows=16_384)
    assert [again.estimate(adql) for adql in questions] == [corpus.estimate(adql) for adql in questions]
