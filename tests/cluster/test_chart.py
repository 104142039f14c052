"""The chart of the platform on the cluster of the tests: what its real API server takes, keeps and refuses."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart.helm import CHART
from support.chart.values import MATRIX
from support.cluster import fates
from support.cluster.running import Cluster

pytestmark = pytest.mark.cluster
TIMEOUT = "--timeout=60s"
KEPT = {"releases", "workspace", "hub", "database"}
NOTHING_ELSE = (
    "daemonsets,deployments,statefulsets,jobs,pods,services,ingresses,networkpolicies,secrets,roles,rolebindings"
)


@contextmanager
def place(cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces restricted Pod Security, and whose labs' namespace is gone at the end."""
    with cluster.namespace(security="restricted") as name:
        try:
            yield name
        finally:
            cluster.kubectl("delete", "namespace", f"{name}-labs", "--wait=false")


@pytest.fixture
def sky(cluster: Cluster) -> Iterator[str]:
    """Such a namespace, for one test."""
    with place(cluster) as name:
        yield name


@dataclass(frozen=True)
class Installation:
    """A release of the chart, and what was said when it was installed."""

    namespace: str
    said: str

    @property
    def labs(self) -> str:
        return f"{self.namespace}-labs"


@pytest.fixture(scope="module")
def installation(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One that tests leave as it is; its labs may have two cores."""
    sizes = [{"name": "small", "cpu": 1, "memoryGiB": 1}]
    given = {"labs": {"sizes": sizes}, "allocation": {"share": 0.1, "capacity": {"cpu": 20, "memoryGiB": 100}}}
    values = tmp_path_factory.mktemp("chart") / "values.yaml"
    values.write_text(yaml.safe_dump(given))
    with place(cluster) as name:
        yield Installation(name, installed(cluster, name, "--values", str(values)))


def helm(cluster: Cluster, command: str, namespace: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cluster.helm(command, "pachon", "--namespace", namespace, *arguments)


def installed(cluster: Cluster, namespace: str, *arguments: str) -> str:
    """What helm and the API server say of an installation that succeeds."""
    done = helm(cluster, "install", namespace, str(CHART), "--wait", TIMEOUT, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stderr


def names(cluster: Cluster, kinds: str, namespace: str) -> set[tuple[str, str]]:
    found = cluster.read(kinds, "-n", namespace)["items"]
    return {(each["kind"], each["metadata"]["name"]) for each in found}


def passwords(cluster: Cluster, namespace: str) -> dict[str, str]:
    return dict(cluster.read("secret", "pachon-secrets", "-n", namespace)["data"])


def test_the_chart_is_installed_where_pod_security_is_enforced_and_nobody_warns(
    cluster: Cluster, installation: Installation
) -> None:
    assert "warning" not in installation.said.lower()
    deployments = cluster.read("deployments", "-n", installation.namespace)["items"]
    assert {each["metadata"]["name"]: each["status"]["readyReplicas"] for each in deployments} == {
        f"pachon-{name}": 1 for name in ("hub", "proxy", "api", "portal", "database")
    }
    labels = cluster.read("namespace", installation.labs)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_hub_may_make_labs_the_web_apis_count_them_and_no_account_may_do_anything_else(
    cluster: Cluster, installation: Installation
) -> None:
    here, labs = installation.namespace, installation.labs
    hub, others = f"{here}:pachon-hub", (f"{here}:default", f"{labs}:default")
    for verb, resource in (("create", "pods"), ("delete", "persistentvolumeclaims"), ("create", "secrets")):
        assert cluster.may(hub, verb, resource, labs)
        assert not cluster.may(hub, verb, resource, here)
        assert not any(cluster.may(other, verb, resource, labs) for other in others)
    api = f"{here}:pachon-api"
    assert cluster.may(api, "list", "pods", labs)
    assert not any(cluster.may(api, *right) for right in (("list", "pods", here), ("create", "pods", labs)))
    for verb, resource in (("create", "roles"), ("create", "deployments.apps"), ("list", "secrets"), ("list", "nodes")):
        assert not cluster.may(hub, verb, resource, labs)


def test_the_labs_namespace_refuses_what_goes_beyond_the_cap_and_what_is_not_restricted(
    cluster: Cluster, installation: Installation
) -> None:
    labs = installation.labs
    cluster.wait_until(lambda: "used" in cluster.read("quota", "pachon-labs", "-n", labs)["status"])
    assert _refusal(cluster, labs, _lab("first")) == ""
    assert _refusal(cluster, labs, _lab("second")) == ""
    assert "exceeded quota: pachon-labs" in _refusal(cluster, labs, _lab("third"))
    assert "maximum cpu usage per Container is 1" in _refusal(cluster, labs, _lab("large", cpu="2"))
    assert 'violates PodSecurity "restricted' in _refusal(cluster, labs, _lab("root", runAsNonRoot=False))


def _lab(name: str, *, cpu: str = "1", **security: object) -> dict[str, Any]:
    resources = {kind: {"cpu": cpu, "memory": "1Gi"} for kind in ("requests", "limits")}
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "lab", "image": "images.test/lab:1", "resources": resources, "securityContext": locked}
    profile = {"type": "RuntimeDefault"}
    pod = {"containers": [container], "securityContext": {"runAsNonRoot": True, "seccompProfile": profile, **security}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}


def _refusal(cluster: Cluster, namespace: str, given: dict[str, Any]) -> str:
    return cluster.kubectl("create", "-n", namespace, "-f", "-", given=given).stderr


def test_homes_and_files_outlive_a_release_and_the_next_one_takes_them_up(cluster: Cluster, sky: str) -> None:
    installed(cluster, sky)
    home = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "home-ada"}, "spec": home}
    cluster.apply(claim, namespace=f"{sky}-labs")
    volumes = _volumes(cluster, sky)
    assert all(volumes.values())
    gone = helm(cluster, "uninstall", sky, "--wait", TIMEOUT)
    assert gone.returncode == 0, gone.stderr
    assert names(cluster, f"pvc,{NOTHING_ELSE}", sky) == {("PersistentVolumeClaim", f"pachon-{name}") for name in KEPT}
    assert names(cluster, f"pvc,resourcequotas,limitranges,{NOTHING_ELSE}", f"{sky}-labs") == {
        ("PersistentVolumeClaim", "home-ada")
    }
    installed(cluster, sky)
    assert _volumes(cluster, sky) == volumes


def _volumes(cluster: Cluster, namespace: str) -> dict[str, str]:
    claims = cluster.read("pvc", "-n", namespace)["items"]
    return {each["metadata"]["name"]: each["spec"].get("volumeName", "") for each in claims}


INCOMPLETE = {
    "a secret that is not there": ({"secrets": {"existingSecret": "mine"}}, 'the secret "mine", which is not in the'),
    "a secret without a key": ({"secrets": {"existingSecret": "short"}}, 'which has no key "portal-token": add it'),
    "a database without its password": (
        {"database": {"kind": "external", "external": {"host": "db", "existingSecret": "short"}}},
        'database.external.existingSecret names the secret "short", which has no key "password"',
    ),
    "a storage class that is not there": (
        {"storage": {"workspace": {"className": "fast"}}},
        'storage.workspace.className is "fast", and the cluster has no such storage class: it has fake.',
    ),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_what_the_cluster_lacks_stops_an_installation_before_anything_is_there(
    cluster: Cluster, sky: str, case: str, tmp_path: Path
) -> None:
    values, told = INCOMPLETE[case]
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "short"}, "stringData": {"api-token": "a"}}
    cluster.apply(secret, namespace=sky)
    done = helm(cluster, "install", sky, str(CHART), "--values", str(tmp_path / "values.yaml"))
    assert done.returncode != 0
    assert told in done.stderr
    assert names(cluster, f"pvc,{NOTHING_ELSE}", sky) == {("Secret", "short")}


def test_an_upgrade_keeps_secrets_and_restarts_only_what_reads_the_changed_settings(cluster: Cluster, sky: str) -> None:
    installed(cluster, sky)
    before, known = _pods(cluster, sky), passwords(cluster, sky)
    assert set(json.loads(base64.b64decode(known["demo-passwords"]))) == {"admin", "astronomer", "novice", "visitor"}
    for changes, restarted in (((), set()), (("--set", "settings.scs.max_rows=9"), {"hub", "api", "portal"})):
        done = helm(cluster, "upgrade", sky, str(CHART), "--wait", TIMEOUT, *changes)
        assert done.returncode == 0, done.stderr
        after = _pods(cluster, sky)
        assert {name for name in after if after[name] != before[name]} == restarted
        assert passwords(cluster, sky) == known
        before = after


def _pods(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Which pod each process runs in."""
    pods = cluster.read("pods", "-n", namespace, "--field-selector=status.phase=Running")["items"]
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["metadata"]["uid"]
        for each in pods
        if "deletionTimestamp" not in each["metadata"]
    }


def test_an_upgrade_whose_migration_fails_leaves_the_platform_as_it_was(cluster: Cluster, sky: str) -> None:
    installed(cluster, sky)
    before = _pods(cluster, sky)
    with cluster.node.fate(f"{sky}/pachon-migrations-*", fates.fails()):
        tag = ("--set-string", "images.platform.tag=9")
        done = helm(cluster, "upgrade", sky, str(CHART), "--timeout=5s", *tag)
    assert done.returncode != 0
    assert "pachon-migrations" in done.stderr
    assert _pods(cluster, sky) == before


@pytest.mark.parametrize("name", ["large", "own login"])
def test_the_api_server_takes_every_object_of_a_larger_installation(
    cluster: Cluster, sky: str, name: str, tmp_path: Path
) -> None:
    """Field by field, with its own strictness; the kinds of the Gateway API are not there."""
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(MATRIX[name]))
    done = helm(cluster, "install", sky, str(CHART), "--dry-run=server", "--values", str(tmp_path / "values.yaml"))
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
