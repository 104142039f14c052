"""The cluster of the tests decides as a real one does, and a test decides what becomes of pods."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.cluster import fates
from support.cluster.running import Cluster
from support.cluster.storage import STORAGE_CLASS

pytestmark = pytest.mark.cluster
LIMITS = {"limits": {"cpu": "1", "memory": "1Gi"}}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "only", "image": "images.test/lab:1", "resources": LIMITS}
    described = {"containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": described}


def created(cluster: Cluster, namespace: str, *objects: Any) -> str:
    """What the API server says against objects; nothing when it takes them."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return cluster.kubectl("create", "-n", namespace, "-f", "-", given=listed).stderr


def phase(cluster: Cluster, namespace: str, name: str) -> str:
    return cluster.read("pod", name, "-n", namespace)["status"]["phase"]


def wait_for_phase(cluster: Cluster, namespace: str, name: str, wanted: str) -> None:
    cluster.wait_until(lambda: phase(cluster, namespace, name) == wanted)


def test_a_restricted_namespace_refuses_a_pod_and_says_what_of_it_is_not_allowed(cluster: Cluster) -> None:
    with cluster.namespace(security="restricted") as namespace:
        said = created(cluster, namespace, pod("rooted", hostNetwork=True))
    assert 'violates PodSecurity "restricted:latest"' in said
    for wrong in ("host namespaces (hostNetwork=true)", "allowPrivilegeEscalation != false", "runAsNonRoot != true"):
        assert wrong in said


def test_a_quota_counts_limits_and_refuses_what_goes_beyond_until_a_pod_is_gone(
    cluster: Cluster, namespace: str
) -> None:
    hard = {"limits.memory": "1Gi", "limits.cpu": "1"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "cap"}, "spec": {"hard": hard}}
    cluster.apply(quota, namespace=namespace)
    cluster.wait_until(lambda: "used" in cluster.read("quota", "cap", "-n", namespace)["status"])
    assert created(cluster, namespace, pod("first")) == ""
    refusal = created(cluster, namespace, pod("second"))
    assert "exceeded quota: cap" in refusal
    assert "requested: limits.cpu=1,limits.memory=1Gi, used: limits.cpu=1,limits.memory=1Gi" in refusal
    cluster.kubectl("delete", "pod", "first", "-n", namespace)
    cluster.wait_until(lambda: not created(cluster, namespace, pod("second")))


def test_a_service_account_may_do_what_its_role_says_and_nothing_more(cluster: Cluster, namespace: str) -> None:
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader"}}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    reader = {"kind": "ServiceAccount", "name": "reader"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
        {**rbac, "kind": "Role", "rules": rules},
        {
            **rbac,
            "kind": "RoleBinding",
            "subjects": [{**reader, "namespace": namespace}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        },
        namespace=namespace,
    )
    account = f"{namespace}:reader"
    asked = [("list", "pods"), ("create", "pods"), ("list", "secrets")]
    assert [cluster.may(account, *question, namespace) for question in asked] == [True, False, False]
    assert not cluster.may(account, "list", "pods", "default")
    as_reader = cluster.account_kubeconfig(namespace, "reader")
    assert cluster.kubectl("get", "pods", "-n", namespace, kubeconfig=as_reader).returncode == 0
    assert "cannot list resource" in cluster.kubectl("get", "pods", "-n", "default", kubeconfig=as_reader).stderr


def test_pods_become_what_the_test_says(cluster: Cluster, namespace: str) -> None:
    with (
        cluster.node.fate(f"{namespace}/unknown", fates.image_cannot_be_pulled()),
        cluster.node.fate(f"{namespace}/refused", fates.is_refused()),
        cluster.node.fate(f"{namespace}/broken", fates.fails(exit_code=3)),
    ):
        names = ("plain", "unknown", "refused", "broken")
        assert created(cluster, namespace, *(pod(name, restartPolicy="Never") for name in names)) == ""
        for name, wanted in (("plain", "Running"), ("refused", "Failed"), ("broken", "Failed")):
            wait_for_phase(cluster, namespace, name, wanted)
        cluster.wait_until(lambda: "containerStatuses" in cluster.read("pod", "unknown", "-n", namespace)["status"])
    told = cluster.read("events", "-n", namespace)["items"]
    assert ("unknown", "BackOff") in {(event["involvedObject"]["name"], event["reason"]) for event in told}
    cluster.on_node(cluster.node.kill_for_memory(namespace, "plain"))
    ended = cluster.read("pod", "plain", "-n", namespace)["status"]
    assert ended["phase"] == "Failed"
    assert ended["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def test_a_pod_that_is_slow_to_die_is_terminating_until_the_node_lets_it_go(cluster: Cluster, namespace: str) -> None:
    created(cluster, namespace, pod("slow"))
    wait_for_phase(cluster, namespace, "slow", "Running")
    with cluster.node.slow_to_die(f"{namespace}/*"):
        cluster.kubectl("delete", "pod", "slow", "-n", namespace, "--wait=false")
        time.sleep(0.5)
        assert "deletionTimestamp" in cluster.read("pod", "slow", "-n", namespace)["metadata"]
    cluster.wait_until(lambda: cluster.kubectl("get", "pod", "slow", "-n", namespace).returncode != 0)


def test_a_claim_is_bound_before_its_pod_starts_and_its_volume_goes_with_it(cluster: Cluster, namespace: str) -> None:
    size = {"requests": {"storage": "1Gi"}}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "home"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": size},
    }
    volume = {"name": "home", "persistentVolumeClaim": {"claimName": "home"}}
    assert created(cluster, namespace, claim, pod("homely", volumes=[volume])) == ""
    wait_for_phase(cluster, namespace, "homely", "Running")
    bound = cluster.read("pvc", "home", "-n", namespace)["spec"]
    assert bound["storageClassName"] == STORAGE_CLASS
    cluster.kubectl("delete", "pod/homely", "pvc/home", "-n", namespace)
    cluster.wait_until(lambda: cluster.kubectl("get", "pv", bound["volumeName"]).returncode != 0)


ABANDONED = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from support.cluster.control_plane import Processes, etcd_flags
from support.stack import free_ports
with ExitStack() as stack:
    processes = Processes(Path(sys.argv[1]), Path(sys.argv[2], "logs"), stack)
    processes.start("etcd", etcd_flags(Path(sys.argv[2], "etcd"), *free_ports(2)))
    print(processes.running["etcd"].pid, flush=True)
    time.sleep(60)
"""


def test_no_process_outlives_a_test_run_that_is_killed(programs_folders: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-c", ABANDONED, str(programs_folders[0]), str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        etcd = psutil.Process(int(run.stdout.readline()))
        while etcd.name() == "setpriv":  # which asks to be killed too, then becomes etcd
            time.sleep(0.01)
        assert run.poll() is None
        run.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([etcd], timeout=10)
    assert alive == []
