"""Every rendering of the chart keeps every rule, and Kubernetes knows every object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache

import kubernetes_validate
import kubernetes_validate.utils
import pytest

from support.chart.helm import CHART, NEWEST, OLDEST, Rendered, render, run_helm
from support.chart.rules import RULES
from support.chart.values import MATRIX

_OF_GATEWAYS = "gateway.networking.k8s.io/"


@pytest.fixture(scope="module", params=MATRIX)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """The chart with each of the values."""
    return render(MATRIX[request.param])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rendering_keeps_every_rule(rendered: Rendered, rule: Callable[[Rendered], Iterator[str]]) -> None:
    assert list(rule(rendered)) == []


def test_helm_finds_nothing_to_warn_of_in_the_chart() -> None:
    for values in MATRIX.values():
        told = run_helm("lint", "--strict", str(CHART), values=values)
        assert "[WARNING]" not in told
        assert "[ERROR]" not in told


def test_the_oldest_and_the_newest_kubernetes_know_every_object_and_every_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unknown kind or version of an object, of which the tool only warns, is an error here."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
    everything = {
        version: {
            json.dumps(each, sort_keys=True): each
            for values in MATRIX.values()
            for each in render(values, kubernetes=version).manifests
            if not each["apiVersion"].startswith(_OF_GATEWAYS)
        }
        for version in (OLDEST, NEWEST)
    }
    for version, manifests in everything.items():
        assert len(manifests) > len(RULES)
        for manifest in manifests.values():
            kubernetes_validate.validate(manifest, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**next(iter(manifests.values())), "bogus": 1}, NEWEST, strict=True)
