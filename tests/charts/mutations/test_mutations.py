"""A mistake in the chart is caught, and we know by what."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart.helm import CHART, HelmError, render
from support.chart.rules import RULES
from support.chart.values import MATRIX

MUTATIONS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("mutations.yaml").read_text())
RENDERED = [mutation for mutation in MUTATIONS if mutation["layer"] == "U"]
BY_NAME = {rule.__name__: rule for rule in RULES}


@pytest.mark.parametrize("mutation", RENDERED, ids=lambda mutation: mutation["what"].replace(" ", "-"))
def test_a_mistake_in_the_chart_is_caught(mutation: dict[str, Any], tmp_path: Path) -> None:
    chart = tmp_path / "pachon"
    shutil.copytree(CHART, chart)
    changed = chart / mutation["file"]
    before = changed.read_text()
    assert mutation["old"] in before
    changed.write_text(before.replace(mutation["old"], mutation["new"], 1))
    values = MATRIX[mutation.get("values", "default")]
    if mutation["caught_by"] == "helm":
        with pytest.raises(HelmError, match="values don't meet the specifications"):
            render(values, chart=chart)
    else:
        assert list(BY_NAME[mutation["caught_by"]](render(values, chart=chart))) != []


def test_what_rendering_cannot_show_names_the_layer_that_does() -> None:
    others = [mutation for mutation in MUTATIONS if mutation not in RENDERED]
    assert [mutation["what"] for mutation in others if mutation["layer"] not in {"I", "F"} or not mutation["why"]] == []


def test_every_rule_of_the_chart_has_a_mistake_that_only_it_is_there_for() -> None:
    unproven = set(BY_NAME) - {mutation["caught_by"] for mutation in RENDERED}
    assert unproven == {"every_object_is_labelled_and_placed"}
