"""One running cluster for all tests on Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.cluster import programs
from support.cluster.running import Cluster, running_cluster


@pytest.fixture(scope="session")
def programs_folders() -> tuple[Path, Path]:
    """The components of Kubernetes, and helm with kubectl."""
    folders = programs.kubernetes_folder(), programs.helm_folder()
    if not all(folder.exists() for folder in folders):
        pytest.skip(
            "Kubernetes or helm is missing: tools/system-packages.sh makes them where modules can be downloaded"
        )
    return folders


@pytest.fixture(scope="session")
def cluster(programs_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with a node in name only."""
    with running_cluster(*programs_folders, tmp_path_factory.mktemp("cluster")) as running:
        yield running
    assert [name for name, pid in running.plane.pids.items() if psutil.pid_exists(pid)] == []


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace."""
    with cluster.namespace() as name:
        yield name
