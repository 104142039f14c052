"""A test cluster: a real control plane, a node and storage in name only, and the programs that drive it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kubernetes_asyncio import client, config

from support.cluster.control_plane import ControlPlane, running_control_plane
from support.cluster.node import FakeNode
from support.cluster.storage import FakeStorage

_COMMAND_TIMEOUT_S = 120
_SEEN_TIMEOUT_S = 20.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cluster:
    """A running cluster and how to talk to it."""

    plane: ControlPlane
    node: FakeNode
    programs: Path
    _loop: asyncio.AbstractEventLoop
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that acts as administrator, and keeps what it keeps in the cluster's folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        homes = {f"HELM_{name}_HOME": str(self.plane.folder / "helm") for name in ("CACHE", "CONFIG", "DATA")}
        return {**kept, **homes, "KUBECONFIG": str(self.plane.admin_kubeconfig), "HOME": str(self.plane.folder)}

    def kubectl(
        self, *arguments: str, given: object = None, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; objects `given` go to its standard input."""
        return self._run("kubectl", *arguments, given=given, kubeconfig=kubeconfig)

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run helm."""
        return self._run("helm", *arguments)

    def apply(self, *objects: Mapping[str, object], namespace: str = "default") -> None:
        """Apply objects, or raise with what the API server says against them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        done = self.kubectl("apply", "--namespace", namespace, "-f", "-", given=listed)
        assert done.returncode == 0, done.stderr

    def read(self, *arguments: str) -> Any:
        """What `kubectl get` finds."""
        done = self.kubectl("get", "-o", "json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def may(self, account: str, verb: str, resource: str, namespace: str) -> bool:
        """Whether a service account, as `namespace:name`, may do this there."""
        user = f"--as=system:serviceaccount:{account}"
        done = self.kubectl("auth", "can-i", verb, resource, user, "--namespace", namespace)
        assert done.stdout.strip() in {"yes", "no"}, done.stderr
        return done.stdout.strip() == "yes"

    def account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A file with which clients act as a service account."""
        done = self.kubectl("create", "token", name, "--namespace", namespace)
        assert done.returncode == 0, done.stderr
        login = {"token": done.stdout.strip()}
        return self.plane.authority.write_kubeconfig(f"{namespace}-{name}", self.plane.url, login)

    @contextmanager
    def namespace(self, *, security: str | None = None) -> Iterator[str]:
        """A fresh namespace in which pods can start, with a level of Pod Security that it enforces."""
        name = f"test-{next(self._numbers)}"
        labels = {"pod-security.kubernetes.io/enforce": security} if security else {}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        self.wait_until(lambda: self.kubectl("get", "serviceaccount", "default", "-n", name).returncode == 0)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Ask again and again."""
        give_up_at = time.monotonic() + _SEEN_TIMEOUT_S
        while not is_so():
            assert time.monotonic() < give_up_at, "not seen in time"
            time.sleep(0.05)

    def on_node(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Let the node do something, from any thread but its own."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SEEN_TIMEOUT_S)

    @asynccontextmanager
    async def client(self, kubeconfig: Path | None = None) -> AsyncIterator[client.ApiClient]:
        """A client, as administrator unless another file is given."""
        async with await _client(kubeconfig or self.plane.admin_kubeconfig) as api:
            yield api

    def _run(
        self, program: str, *arguments: str, given: object = None, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}
        return subprocess.run(
            [self.programs / program, *arguments],
            input=None if given is None else json.dumps(given),
            stdin=subprocess.DEVNULL if given is None else None,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )


@contextmanager
def running_cluster(kubernetes: Path, helm: Path, folder: Path) -> Iterator[Cluster]:
    """Start a cluster; at its end every process of it has ended.

    Parameters
    ----------
    kubernetes, helm
        Folders of the programs (`support.cluster.programs`).
    folder
        Of the state, keys and logs; empty.
    """
    with running_control_plane(kubernetes, folder) as plane, _simulation(plane) as (node, loop):
        cluster = Cluster(plane, node, helm, loop)
        cluster.wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default").returncode == 0)
        yield cluster


@contextmanager
def _simulation(plane: ControlPlane) -> Iterator[tuple[FakeNode, asyncio.AbstractEventLoop]]:
    """A node and storage in a thread of their own, so that tests may block."""
    ready: Future[tuple[FakeNode, asyncio.AbstractEventLoop]] = Future()
    stopped = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_live(plane, ready, stopped)), name="fake node")
    thread.start()
    try:
        yield ready.result(_COMMAND_TIMEOUT_S)
    finally:
        stopped.set()
        thread.join()


async def _live(
    plane: ControlPlane, ready: Future[tuple[FakeNode, asyncio.AbstractEventLoop]], stopped: threading.Event
) -> None:
    async with await _client(plane.admin_kubeconfig) as api:
        node, storage = FakeNode(api), FakeStorage(api)
        try:
            await asyncio.gather(node.register(), storage.register())
        except Exception as error:  # noqa: BLE001 -- whoever waits for the node raises it
            ready.set_exception(error)
            return
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(each.live()) for each in (node, storage)]
            ready.set_result((node, asyncio.get_running_loop()))
            await asyncio.to_thread(stopped.wait)
            for life in lives:
                life.cancel()


async def _client(kubeconfig: Path) -> client.ApiClient:
    settings = client.Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=settings)
    return client.ApiClient(settings)
