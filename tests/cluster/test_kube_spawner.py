"""The real KubeSpawner on the cluster of the tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from kubernetes_asyncio.client import ApiException

from support.cluster import fates
from support.cluster.running import Cluster
from support.cluster.spawners import spawner_of, talking_to

pytestmark = pytest.mark.cluster
_HUB_RULES = [
    {"apiGroups": [""], "resources": ["pods", "secrets", "persistentvolumeclaims"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]},
]


@pytest.fixture
def as_hub(cluster: Cluster, namespace: str) -> Any:
    """Spawners of this process act as a hub that may manage pods in this namespace and nothing else."""
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "hub"}}
    account = {"kind": "ServiceAccount", "name": "hub", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hub"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hub"}},
        {**rbac, "kind": "Role", "rules": _HUB_RULES},
        {**rbac, "kind": "RoleBinding", "subjects": [account], "roleRef": role},
        namespace=namespace,
    )
    kubeconfig = cluster.account_kubeconfig(namespace, "hub")

    @asynccontextmanager
    async def as_hub_in_namespace() -> AsyncIterator[dict[str, Any]]:
        async with talking_to(kubeconfig):
            yield {"namespace": namespace, "image": "images.test/lab:1", "cpu_limit": 1, "mem_limit": "1G"}

    return as_hub_in_namespace


class _Lab(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(httpx.codes.OK)
        self.end_headers()
        self.wfile.write(b"a lab")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def lab(pod: fates.Pod, address: str) -> Iterator[None]:
    """A server that stands for a pod."""
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    with ThreadingHTTPServer((address, port), _Lab) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_a_lab_starts_answers_at_its_own_address_and_stops(cluster: Cluster, namespace: str, as_hub: Any) -> None:
    async def run() -> None:
        async with as_hub() as settings, httpx.AsyncClient(trust_env=False) as client:
            spawner = spawner_of("alice", **settings)
            url = await spawner.start()
            assert (await client.get(url)).text == "a lab"
            assert await spawner.poll() is None
            await spawner.stop()
            assert await spawner.poll() == 1
            with pytest.raises(httpx.TransportError):  # refused, or reset where the server was just leaving
                await client.get(url)

    with cluster.node.fate(f"{namespace}/jupyter-*", fates.runs(lab)):
        asyncio.run(run())


def test_a_start_that_a_quota_refuses_says_which(cluster: Cluster, namespace: str, as_hub: Any) -> None:
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"limits.memory": "512Mi"}}}
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", **quota}, namespace=namespace)
    cluster.wait_until(lambda: "used" in cluster.read("quota", "small", "-n", namespace)["status"])

    async def run() -> None:
        async with as_hub() as settings:
            with pytest.raises(ApiException, match="exceeded quota: small"):
                await spawner_of("bob", **settings).start()

    asyncio.run(run())


def test_an_image_that_cannot_be_pulled_is_told_while_the_start_waits(
    cluster: Cluster, namespace: str, as_hub: Any
) -> None:
    async def run() -> list[str]:
        async with as_hub() as settings:
            spawner = spawner_of("carol", **{**settings, "start_timeout": 3})
            start = asyncio.ensure_future(spawner.start())
            told = [event["raw_event"]["reason"] async for event in spawner.progress()]
            with pytest.raises(TimeoutError):
                await start
            await spawner.stop()
            return told

    with cluster.node.fate(f"{namespace}/jupyter-carol*", fates.image_cannot_be_pulled()):
        told = asyncio.run(run())
    assert {"Scheduled", "Failed", "BackOff"} <= set(told)


@pytest.mark.parametrize("exit_code", [0, 137])
def test_a_lab_that_ends_by_itself_or_for_want_of_memory_is_found_ended(
    cluster: Cluster, namespace: str, as_hub: Any, exit_code: int
) -> None:
    async def run() -> int | None:
        async with as_hub() as settings, asyncio.timeout(20):
            spawner = spawner_of("dan", extra_pod_config={"restart_policy": "Never"}, **settings)
            await spawner.start()
            ends = cluster.node.kill_for_memory if exit_code else cluster.node.end
            cluster.on_node(ends(namespace, spawner.pod_name))
            while (code := await spawner.poll()) is None:  # noqa: ASYNC110 -- the hub asks like this
                await asyncio.sleep(0.05)
            return code

    assert asyncio.run(run()) == exit_code


def test_twenty_labs_start_at_once(as_hub: Any) -> None:
    async def run() -> set[str]:
        async with as_hub() as settings:
            spawners = [spawner_of(f"person-{number}", **settings) for number in range(20)]
            urls = await asyncio.gather(*(spawner.start() for spawner in spawners))
            await asyncio.gather(*(spawner.stop() for spawner in spawners))
            return set(urls)

    assert len(asyncio.run(run())) == 20
