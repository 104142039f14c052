"""Labs on the cluster of the tests: the real spawner with a hub's rights, the ledger with those of the Web APIs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.config import kube_config
from sqlalchemy import delete

from pachon.allocation.cluster import Facility, KubernetesCluster
from pachon.allocation.models import AllocationLimits
from pachon.allocation.service import Usage
from pachon.allocation.sql_storage import OBSERVED, RESERVATIONS
from pachon.core.errors import UnavailableError
from pachon.core.resources import Resources
from pachon.hub.kube_labs import KubeLabSpawner
from pachon.state.database import open_database, writing
from support.cluster import fates
from support.cluster.labs import lab_of
from support.cluster.running import Cluster
from support.cluster.spawners import talking_to
from support.ledger_site import Ledger, running_ledger
from support.ledgers import GIBIBYTE, Clock

pytestmark = pytest.mark.cluster
LAB = Resources(1000, 4 * GIBIBYTE)
ROOM_FOR = 3
HUB_RULES = [
    {
        "apiGroups": [""],
        "resources": ["pods", "persistentvolumeclaims"],
        "verbs": ["get", "list", "watch", "create", "delete"],
    },
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]},
]
API_RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]


@dataclass
class Facts:
    """The labs' namespace, the ledger, and the configuration of the hub that starts labs there."""

    namespace: str
    ledger: Ledger
    folder: Path
    kubeconfig: Path
    now: Clock

    @property
    def api_url(self) -> str:
        return f"{self.ledger.url}/api"

    def spawner(self, person: str) -> KubeLabSpawner:
        return lab_of(person, namespace=self.namespace, api_url=self.api_url, home=self.folder)

    def dying_hub(self, person: str, point: str) -> subprocess.Popen[bytes]:
        """A hub that starts a lab and dies at a failpoint."""
        words = [self.namespace, self.api_url, self.folder, self.kubeconfig, person, point]
        command = [sys.executable, "-m", "support.cluster.labs", *map(str, words)]
        return subprocess.Popen(command, cwd=Path(__file__).parents[1])

    @contextlib.asynccontextmanager
    async def as_hub(self) -> AsyncIterator[None]:
        """What is started here has a hub's rights. The ledger has looked once, as it does when it begins."""
        await self.ledger.service.look()
        async with talking_to(self.kubeconfig):
            yield

    def usage(self) -> Usage:
        return self.ledger.service.usage("", pools=frozenset(), everybody=True)


def may(cluster: Cluster, namespace: str, name: str, rules: list[dict[str, Any]]) -> Path:
    """Give an account of this name these rights, and no others."""
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {**rbac, "kind": "Role", "rules": rules},
        {**rbac, "kind": "RoleBinding", "subjects": [account], "roleRef": role},
        namespace=namespace,
    )
    return cluster.account_kubeconfig(namespace, name)


@pytest.fixture
def facts(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facts]:
    limits, now = AllocationLimits(share=0.1), Clock()
    with cluster.namespace(security="restricted") as namespace:
        hub = may(cluster, namespace, "hub", HUB_RULES)
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(may(cluster, namespace, "api", API_RULES)))
        labs = KubernetesCluster(Facility(namespace=namespace, cpu=10 * ROOM_FOR, memory_bytes=1000 * GIBIBYTE))
        with running_ledger(tmp_path, labs, limits=limits, now=now) as ledger:
            yield Facts(namespace, ledger, tmp_path, hub, now)


def run(facts: Facts, work: Any) -> Any:
    async def act() -> Any:
        try:
            async with facts.as_hub():
                return await work()
        finally:
            await facts.ledger.service.aclose()

    return asyncio.run(act())


def test_a_lab_lives_under_restricted_pod_security_with_the_rights_of_hub_and_web_apis_alone(
    cluster: Cluster, facts: Facts
) -> None:
    async def live() -> None:
        lab = facts.spawner("novice")
        await lab.start()
        assert facts.usage().owners == {"novice": LAB}
        pod = cluster.read("pod", lab.pod_name, "-n", facts.namespace)
        assert pod["metadata"]["annotations"]["pachon/reservation"]
        await facts.ledger.service.look()
        assert [
            each.uid for each in facts.ledger.service.usage("novice", pools=frozenset(), everybody=False).running
        ] == [pod["metadata"]["uid"]]
        assert [event["message"] async for event in lab.progress()]
        await lab.stop()
        assert facts.usage().owners == {}
        assert cluster.read("secrets", "-n", facts.namespace)["items"] == []
        assert cluster.read("pvc", "home-novice", "-n", facts.namespace)["status"]["phase"] == "Bound"

    run(facts, live)


def test_of_labs_started_at_once_as_many_start_as_have_room_and_the_others_read_why(facts: Facts) -> None:
    async def start_all() -> tuple[list[object], list[str]]:
        labs = [facts.spawner(f"person-{number}") for number in range(2 * ROOM_FOR)]
        ends = await asyncio.gather(*(lab.start() for lab in labs), return_exceptions=True)
        refusals = [end.message for end in ends if isinstance(end, SpawnException)]
        await labs[
            0 if not isinstance(ends[0], SpawnException) else ends.index(next(e for e in ends if isinstance(e, str)))
        ].stop()
        await facts.spawner("late").start()
        return [end for end in ends if isinstance(end, str)], refusals

    started, refusals = run(facts, start_all)
    assert (len(started), len(refusals)) == (ROOM_FOR, ROOM_FOR)
    assert {each.partition(", of which")[0] for each in refusals} == {
        "All labs together may have 10 % of this facility, which is 3 CPU"
    }


def test_a_ledger_that_was_lost_is_rebuilt_from_the_pods_and_admits_nobody_before(
    cluster: Cluster, facts: Facts
) -> None:
    async def lose() -> None:
        await facts.spawner("novice").start()
        database = open_database(f"sqlite:///{facts.folder / 'state.sqlite'}")
        with writing(database) as connection:
            connection.execute(delete(RESERVATIONS))
            connection.execute(delete(OBSERVED))
        database.dispose()
        with pytest.raises(SpawnException, match="is being counted"):
            await facts.spawner("other").start()
        await facts.ledger.service.look()
        assert facts.usage().owners == {"novice": LAB}
        cluster.kubectl("delete", "pod", "jupyter-novice", "-n", facts.namespace)
        await facts.ledger.service.look()
        assert facts.usage().owners == {}

    run(facts, lose)


def test_a_lab_whose_image_cannot_be_fetched_gives_its_place_back_and_says_so(cluster: Cluster, facts: Facts) -> None:
    async def fail() -> None:
        lab = facts.spawner("novice")
        with pytest.raises(SpawnException, match=r"The image 'images.test/lab:1' cannot be fetched"):
            await lab.start()
        await lab.stop(now=True)
        assert facts.usage().owners == {}

    with cluster.node.fate(f"{facts.namespace}/jupyter-*", fates.image_cannot_be_pulled()):
        run(facts, fail)


def test_the_clusters_own_quota_stands_behind_the_ledger(cluster: Cluster, facts: Facts) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "labs"}}
    cluster.apply({**quota, "spec": {"hard": {"limits.cpu": "500m"}}}, namespace=facts.namespace)
    cluster.wait_until(lambda: "used" in cluster.read("quota", "labs", "-n", facts.namespace)["status"])

    async def fail() -> None:
        with pytest.raises(SpawnException, match=r"its quota 'labs' does not allow another limits.cpu=1") as refused:
            await facts.spawner("novice").start()
        assert refused.value.status_code == 429
        assert facts.usage().owners == {}

    run(facts, fail)


def test_without_the_right_to_count_nothing_starts(cluster: Cluster, facts: Facts) -> None:
    cluster.kubectl("delete", "rolebinding", "api", "-n", facts.namespace)

    with pytest.raises(UnavailableError, match="Kubernetes does not say which labs run"):
        asyncio.run(_look(facts))


def test_a_hub_that_dies_between_reserving_and_creating_or_confirming_leaves_nothing_that_is_not_counted(
    cluster: Cluster, facts: Facts
) -> None:
    asyncio.run(_look(facts))
    deaths = {"first": "start.after-reserve", "second": "start.after-create"}
    hubs = [facts.dying_hub(person, point) for person, point in deaths.items()]
    assert [hub.wait(timeout=60) for hub in hubs] == [-signal.SIGKILL] * len(deaths)
    assert cluster.read("pods", "-n", facts.namespace)["items"][0]["metadata"]["name"] == "jupyter-second"
    assert facts.usage().owners == {"first": LAB, "second": LAB}
    facts.now.forward(121)
    asyncio.run(_look(facts))
    assert facts.usage().owners == {"second": LAB}

    async def go_on() -> None:
        lab = facts.spawner("second")
        await lab.start()
        assert facts.usage().owners == {"second": LAB}
        await lab.stop()
        assert facts.usage().owners == {}

    run(facts, go_on)


async def _look(facts: Facts) -> None:
    try:
        await facts.ledger.service.look()
    finally:
        await facts.ledger.service.aclose()
