"""The chart as real helm renders it, in kinds that tests ask about."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster.programs import fetch_helm

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm" / "pachon"
NEWEST, OLDEST = "1.37.0", "1.31.0"
Manifest = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class HelmError(Exception):
    """What helm said when it refused."""


@cache
def helm() -> str:
    """The program; a test that needs it is skipped where it cannot be had."""
    try:
        return str(fetch_helm() / "helm")
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"helm is missing and could not be fetched: {error}")


def run_helm(*arguments: str, values: Mapping[str, Any] | None = None) -> str:
    """Run helm in folders of its own, with a file of values if there are some.

    Raises
    ------
    HelmError
        If it refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = {f"HELM_{name}_HOME": f"{folder}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
        given = Path(folder) / "given.yaml"
        given.write_text(yaml.safe_dump(dict(values or {})))
        command = [helm(), *arguments, *(("--values", str(given)) if values is not None else ())]
        environment = {**os.environ, **home, "KUBECONFIG": os.devnull}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    if done.returncode != 0:
        raise HelmError(done.stderr)
    return done.stdout


@dataclass(frozen=True)
class Rendered:
    """All objects of one release."""

    manifests: tuple[Manifest, ...]
    namespace: str

    def of_kind(self, *kinds: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> Manifest:
        """The object of a kind whose name ends so."""
        (found,) = [each for each in self.of_kind(kind) if each["metadata"]["name"].endswith(name)]
        return found

    def pods(self) -> Iterator[tuple[str, Manifest, Manifest]]:
        """Name, metadata and specification of every pod that the chart makes or has made."""
        for each in self.manifests:
            name = f"{each['kind']}/{each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield name, each["metadata"], each["spec"]
            elif "template" in each.get("spec", {}):
                template = each["spec"]["template"]
                yield name, template["metadata"], template["spec"]

    def containers(self) -> Iterator[tuple[str, Manifest]]:
        """Name and specification of every container, those that run before others too."""
        for name, _, pod in self.pods():
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                yield f"{name}/{container['name']}", container


def render(
    values: Mapping[str, Any] | None = None,
    *,
    chart: Path = CHART,
    release: str = "pachon",
    namespace: str = "sky",
    kubernetes: str = NEWEST,
) -> Rendered:
    """Render a release.

    Raises
    ------
    HelmError
        If helm or the chart refuses.
    """
    options = ("--namespace", namespace, "--kube-version", kubernetes)
    text = run_helm("template", release, str(chart), *options, values=values or {})
    manifests = tuple(each for each in yaml.load_all(text, Loader=_LOADER) if each)
    return Rendered(manifests, namespace)
