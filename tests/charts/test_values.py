"""Values that cannot work are refused in one sentence; what is not said is as the one source of the values says."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart.helm import CHART, ROOT, HelmError, render
from support.chart.values import MATRIX, SHARED

BROUGHT: dict[str, Any] = MATRIX["brought along"]
INGRESS = {"url": "https://sky.example.org", "ingress": {"enabled": True}}

AGAINST_THE_SCHEMA = {
    "an unknown key": ({"apis": {}}, "additional properties 'apis' not allowed"),
    "an unknown key further in": ({"api": {"replica": 2}}, "additional properties 'replica' not allowed"),
    "a word for a number": ({"api": {"replicas": "two"}}, "'/api/replicas': got string, want integer"),
    "no replica": ({"api": {"replicas": 0}}, "/api/replicas"),
    "an address with a path": ({"url": "https://sky.example.org/lab"}, "'/url'"),
    "an unknown kind of database": ({"database": {"kind": "mysql"}}, "/database/kind"),
    "a size that is none": ({"storage": {"releases": {"size": "big"}}}, "/storage/releases/size"),
    "limits without memory": ({"hub": {"resources": {"limits": {"memory": 1}}}}, "/hub/resources/limits/memory"),
    "an image without a fixed tag": ({"images": {"hub": {"tag": "latest"}}}, "/images/hub/tag"),
    "a lab image without a tag": ({"labs": {"images": [{"name": "a", "image": "lab"}]}}, "/labs/images/0/image"),
    "a latest lab image": ({"labs": {"images": [{"name": "a", "image": "lab:latest"}]}}, "/labs/images/0/image"),
    "no size of labs": ({"labs": {"sizes": []}}, "/labs/sizes"),
    "more than the whole facility": ({"allocation": {"share": 1.5}}, "/allocation/share"),
    "a digest that is none": ({"images": {"hub": {"digest": "sha256:12"}}}, "/images/hub/digest"),
}

AGAINST_EACH_OTHER = {
    "labs beside the platform": ({"labs": {"namespace": "sky"}}, 'labs.namespace is "sky"'),
    "two ways in": ({**INGRESS, "gateway": {"enabled": True}}, "ingress.enabled and gateway.enabled are both set"),
    "routes to localhost": ({"ingress": {"enabled": True}}, "url is on localhost"),
    "no gateway": ({**INGRESS, "ingress": {}, "gateway": {"enabled": True}}, "gateway.parentRefs is empty"),
    "portals without persistence": (
        {**BROUGHT, "gateway": {**BROUGHT["gateway"], "sessionPersistence": False}},
        "gateway.sessionPersistence is false",
    ),
    "portals behind an unknown controller": (
        {**INGRESS, "ingress": {"enabled": True, "controller": "other"}, "portal": {"replicas": 2}},
        "ingress.portalAnnotations is empty",
    ),
    "replicas that share no files": ({"api": {"replicas": 2}}, "storage.releases.accessMode"),
    "more replicas at least than at most": (
        {"storage": SHARED, "api": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}},
        "api.autoscaling.minReplicas (9) is above maxReplicas (3)",
    ),
    "a database that is nowhere": ({"database": {"kind": "external"}}, "database.external.host is empty"),
    "a provider without addresses": ({"auth": {"kind": "oidc"}}, "auth.oidc.clientId is empty"),
    "a login of nobody": ({"auth": {"kind": "custom"}}, "auth.authenticatorClass is empty"),
    "subdomains of localhost": ({"hub": {"subdomains": True}}, "localhost has none"),
    "a lab larger than all labs": (
        {"labs": {"sizes": [{"name": "huge", "cpu": 64, "memoryGiB": 8}]}},
        'labs.sizes has "huge" with 64 cores and 8 GiB, more than all labs together may use',
    ),
    "two sizes of one name": (
        {"labs": {"sizes": [{"name": "a", "cpu": 1, "memoryGiB": 1}, {"name": "a", "cpu": 2, "memoryGiB": 1}]}},
        'labs.sizes has "a" twice',
    ),
    "a setting that the chart writes": ({"settings": {"jobs": {"path": "/jobs"}}}, "settings.jobs.path is written"),
    "a home of one's own": ({"settings": {"home": "/home"}}, "settings.home is written by the chart"),
    "a secret among settings": (
        {"settings": {"identity": {"api_token": "x"}}},
        "settings.identity.api_token is a secret",
    ),
}


@pytest.mark.parametrize("case", AGAINST_THE_SCHEMA)
def test_a_value_of_the_wrong_kind_is_refused_where_it_is(case: str) -> None:
    values, told = AGAINST_THE_SCHEMA[case]
    with pytest.raises(HelmError) as refused:
        render(values)
    assert told in str(refused.value)


@pytest.mark.parametrize("case", AGAINST_EACH_OTHER)
def test_values_that_cannot_go_together_are_refused_with_what_to_change(case: str) -> None:
    values, told = AGAINST_EACH_OTHER[case]
    with pytest.raises(HelmError) as refused:
        render(values)
    assert told in str(refused.value)


def test_a_kubernetes_that_is_too_old_is_refused() -> None:
    with pytest.raises(HelmError, match=r"chart requires kubeVersion: >=1\.31"):
        render(kubernetes="1.30.14")


def test_values_and_schema_are_what_their_source_makes() -> None:
    specification = importlib.util.spec_from_file_location("chart_values", ROOT / "tools" / "chart_values.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    made = module.documents((CHART / "values.source.yaml").read_text())
    assert [name for name, text in made.items() if (CHART / name).read_text() != text] == []


def test_every_value_is_used_and_every_value_that_is_used_exists() -> None:
    texts = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    used = set(re.findall(r"(?:\.Values|\$values)\.([A-Za-z]+(?:\.[A-Za-z]+)*)", texts))
    known = dict(_leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    prefixes = {".".join(name.split(".")[:count]) for name in known for count in range(1, name.count(".") + 2)}
    assert sorted(used - prefixes - {"secrets.made"}) == []
    unused = [name for name in known if name.rsplit(".", 1)[-1] not in set(re.findall(r"[A-Za-z]+", texts))]
    assert unused == []


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_the_chart_and_the_package_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = Path(ROOT / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project
    assert chart["version"] == chart["appVersion"]
