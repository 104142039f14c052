"""A node without containers: what the scheduler puts on it becomes what a test says, at an address of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from fnmatch import fnmatchcase

from kubernetes_asyncio import client

from support.cluster import fates
from support.cluster.fates import Fate, Pod, Status
from support.cluster.watching import changes, unless_gone

CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
_FIRST_ADDRESS = ipaddress.IPv4Address("127.64.0.1")
"""All of 127.0.0.0/8 is this machine: a process of the test can listen at the very address that its pod reports."""
_HOLD_S = 0.02


class FakeNode:
    """Registers itself, runs pods in name only, and completes their deletion.

    A pod of a job succeeds at once and every other one runs, unless a test says otherwise with `fate`.

    Parameters
    ----------
    api
        Client of whoever may do all that a node may.
    name
        Of the node.
    capacity
        What the scheduler may hand out, as quantities of Kubernetes.
    """

    def __init__(self, api: client.ApiClient, name: str = "fake-0", capacity: dict[str, str] | None = None) -> None:
        self.name = name
        self._core = client.CoreV1Api(api)
        self._capacity = capacity or CAPACITY
        self._addresses = (str(_FIRST_ADDRESS + number) for number in itertools.count())
        self._fates: list[tuple[str, Fate]] = []
        self._held: list[str] = []
        self._processes: dict[str, AbstractContextManager[object]] = {}
        self._met: set[tuple[str, bool]] = set()

    @contextmanager
    def fate(self, pattern: str, fate: Fate) -> Iterator[None]:
        """Say what becomes of pods that start from now on, by a pattern of `namespace/name`; the latest one counts."""
        said = (pattern, fate)
        self._fates.insert(0, said)
        try:
            yield
        finally:
            self._fates.remove(said)

    @contextmanager
    def slow_to_die(self, pattern: str) -> Iterator[None]:
        """Keep deleted pods terminating, by a pattern of `namespace/name`."""
        self._held.append(pattern)
        try:
            yield
        finally:
            self._held.remove(pattern)

    async def kill_for_memory(self, namespace: str, name: str) -> None:
        """Let the kernel kill the containers of a running pod."""
        pod = await self._read(namespace, name)
        await self._report(pod, fates.killed_for_memory(pod))

    async def end(self, namespace: str, name: str, exit_code: int = 0) -> None:
        """Let the containers of a running pod end."""
        pod = await self._read(namespace, name)
        fate = fates.fails(exit_code) if exit_code else fates.succeeds()
        await self._report(pod, fate.status(pod, pod["status"]["podIP"]))

    async def register(self) -> None:
        """Tell the API server about the node, and wait until pods may be put on it."""
        condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        times = {"lastHeartbeatTime": fates.now(), "lastTransitionTime": fates.now()}
        node = {
            "metadata": {
                "name": self.name,
                "labels": {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"},
            },
            "status": {
                "capacity": self._capacity,
                "allocatable": self._capacity,
                "conditions": [{**condition, **times}],
            },
        }
        await self._core.create_node(node)
        async for seen in changes(self._core.list_node, field_selector=f"metadata.name={self.name}"):
            if not seen["spec"].get("taints"):
                return

    async def live(self) -> None:
        """Do a node's work until cancelled."""
        async with asyncio.TaskGroup() as tasks, self._left_processes():
            async for pod in changes(
                self._core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={self.name}"
            ):
                is_dying = "deletionTimestamp" in pod["metadata"]
                key = (pod["metadata"]["uid"], is_dying)
                if key not in self._met:
                    self._met.add(key)
                    tasks.create_task(self._finish(pod) if is_dying else self._start(pod))

    async def _start(self, pod: Pod) -> None:
        fate, address = self._fate_of(pod), next(self._addresses)
        if fate.process:
            process = fate.process(pod, address)
            self._processes[pod["metadata"]["uid"]] = process
            await asyncio.to_thread(process.__enter__)
        await self._report(pod, fate.status(pod, address))
        for event in fate.events:
            await self._tell(pod, event)

    async def _finish(self, pod: Pod) -> None:
        name = _full_name(pod)
        while any(fnmatchcase(name, pattern) for pattern in self._held):  # noqa: ASYNC110 -- another thread lets go
            await asyncio.sleep(_HOLD_S)
        if process := self._processes.pop(pod["metadata"]["uid"], None):
            await asyncio.to_thread(process.__exit__, None, None, None)
        meta = pod["metadata"]
        at_once = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        await unless_gone(self._core.delete_namespaced_pod(meta["name"], meta["namespace"], body=at_once))

    def _fate_of(self, pod: Pod) -> Fate:
        name = _full_name(pod)
        said = next((fate for pattern, fate in self._fates if fnmatchcase(name, pattern)), None)
        owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences", ())}
        return said or (fates.succeeds() if "Job" in owners else fates.runs())

    async def _read(self, namespace: str, name: str) -> Pod:
        pod = await self._core.read_namespaced_pod(name, namespace)
        plain: Pod = self._core.api_client.sanitize_for_serialization(pod)
        return plain

    async def _report(self, pod: Pod, status: Status) -> None:
        meta = pod["metadata"]
        await unless_gone(self._core.patch_namespaced_pod_status(meta["name"], meta["namespace"], {"status": status}))

    async def _tell(self, pod: Pod, event: fates.Event) -> None:
        meta = pod["metadata"]
        about = {"apiVersion": "v1", "kind": "Pod", **{key: meta[key] for key in ("name", "namespace", "uid")}}
        times = {"firstTimestamp": fates.now(), "lastTimestamp": fates.now(), "count": 1}
        words = {"type": event.type, "reason": event.reason, "message": event.message}
        source = {"component": "kubelet", "host": self.name}
        body = {"metadata": {"generateName": f"{meta['name']}."}, "involvedObject": about, "source": source}
        await unless_gone(self._core.create_namespaced_event(meta["namespace"], {**body, **words, **times}))

    @asynccontextmanager
    async def _left_processes(self) -> AsyncIterator[None]:
        """End what stands for pods that nobody has deleted."""
        try:
            yield
        finally:
            for process in self._processes.values():
                process.__exit__(None, None, None)


def _full_name(pod: Pod) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
