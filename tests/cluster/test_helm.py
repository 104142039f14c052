"""The real helm on the cluster of the tests: a release lives through what a release of the platform will."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cluster import fates
from support.cluster.running import Cluster

pytestmark = pytest.mark.cluster
CHART = str(Path(__file__).parent / "chart")
TIMEOUT = "--timeout=30s"


def helm(cluster: Cluster, namespace: str, command: str, *arguments: str) -> str:
    done = cluster.helm(command, "-n", namespace, "sky", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def image(cluster: Cluster, namespace: str) -> str:
    """The image of the web servers, once all of them run it."""
    deployment = cluster.read("deployment", "sky-web", "-n", namespace)
    status = deployment["status"]
    assert (status["updatedReplicas"], status["readyReplicas"], status.get("unavailableReplicas", 0)) == (2, 2, 0)
    found: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def test_a_release_is_installed_upgraded_and_rolled_back(cluster: Cluster, namespace: str) -> None:
    helm(cluster, namespace, "install", CHART, "--wait", TIMEOUT)
    assert image(cluster, namespace) == "images.test/web:1"
    helm(cluster, namespace, "upgrade", CHART, "--wait", TIMEOUT, "--set", "image=images.test/web:2")
    assert image(cluster, namespace) == "images.test/web:2"
    assert cluster.read("job", "sky-migrate", "-n", namespace)["status"]["succeeded"] == 1
    helm(cluster, namespace, "rollback", "1", "--wait", TIMEOUT)
    assert image(cluster, namespace) == "images.test/web:1"


def test_an_upgrade_whose_migration_fails_changes_nothing(cluster: Cluster, namespace: str) -> None:
    helm(cluster, namespace, "install", CHART, "--wait", TIMEOUT)
    with cluster.node.fate(f"{namespace}/sky-migrate-*", fates.fails()):
        failed = cluster.helm("upgrade", "-n", namespace, "sky", CHART, TIMEOUT, "--set", "image=images.test/web:2")
    assert failed.returncode != 0
    assert "sky-migrate" in failed.stderr
    assert image(cluster, namespace) == "images.test/web:1"


def test_an_upgrade_that_never_gets_ready_is_taken_back(cluster: Cluster, namespace: str) -> None:
    helm(cluster, namespace, "install", CHART, "--wait", TIMEOUT)
    with cluster.node.fate(f"{namespace}/sky-web-*", fates.never_gets_ready()):
        options = ("--rollback-on-failure", "--timeout=2s", "--set", "image=images.test/web:2")
        failed = cluster.helm("upgrade", "-n", namespace, "sky", CHART, *options)
    assert failed.returncode != 0
    assert "has been rolled back" in failed.stderr
    assert image(cluster, namespace) == "images.test/web:1"


def test_what_is_kept_outlives_a_release_and_the_next_one_takes_it_over(cluster: Cluster, namespace: str) -> None:
    helm(cluster, namespace, "install", CHART, "--wait", TIMEOUT)
    volume = cluster.read("pvc", "sky-state", "-n", namespace)["spec"]["volumeName"]
    helm(cluster, namespace, "uninstall", "--wait", TIMEOUT)
    left = cluster.read("deployments,jobs,pods,pvc", "-n", namespace)["items"]
    assert [(each["kind"], each["metadata"]["name"]) for each in left] == [("PersistentVolumeClaim", "sky-state")]
    helm(cluster, namespace, "install", CHART, "--wait", TIMEOUT)
    assert cluster.read("pvc", "sky-state", "-n", namespace)["spec"]["volumeName"] == volume
