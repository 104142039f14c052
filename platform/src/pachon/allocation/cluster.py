"""What Kubernetes says of labs: which pods there are, and what its nodes offer. The ledger's only door to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.client.exceptions import ApiException

from pachon.allocation.models import LivePod, Observation, PodName
from pachon.core.errors import SetupError, UnavailableError, UsageError
from pachon.core.resources import NOTHING, Resources, pod_limits, quantity

_LOG = logging.getLogger(__name__)
_PAGE = 500
_TIMEOUT_S = 10
_OK = 200
_ENDED = {"Succeeded", "Failed"}
_OWNER, _SERVER = "hub.jupyter.org/username", "hub.jupyter.org/servername"
_POOL, _RESERVATION = "pachon/pool", "pachon/reservation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """Where to look.

    Parameters
    ----------
    namespace
        Of labs: every pod there is user computing, whoever made it.
    cpu, memory_bytes
        The whole facility as declared; None for what the nodes offer.
    node_selector
        Label selector of the nodes that count.
    """

    namespace: str
    cpu: float | None = None
    memory_bytes: int | None = None
    node_selector: str = ""


class KubernetesCluster:
    """Keeps the promise of `allocation.service.Cluster`, with the rights to list pods and, if undeclared, nodes.

    Credentials are those of the pod that this runs in, else those of the file that `KUBECONFIG` names.
    """

    def __init__(self, facility: Facility) -> None:
        self._facility = facility
        self._client: ApiClient | None = None

    async def observe(self) -> Observation:
        """Every live pod of labs, and the capacity."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                capacity = await self._capacity()
                return Observation([pod async for pod in self._pods()], capacity)
        except (ApiException, aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"status {error.status}" if isinstance(error, ApiException) else repr(error)
            _LOG.warning("Kubernetes did not say what runs: %s", reason)
            raise UnavailableError("Kubernetes does not say which labs run; try again in a minute.") from error

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _capacity(self) -> Resources:
        declared = self._facility
        offered = NOTHING
        if declared.cpu is None or declared.memory_bytes is None:
            async for node in self._items("list_node", label_selector=declared.node_selector):
                offered += _offered(node)
        return Resources(
            offered.cpu_millicores if declared.cpu is None else Resources.of(declared.cpu, 0).cpu_millicores,
            offered.memory_bytes if declared.memory_bytes is None else declared.memory_bytes,
        )

    async def _pods(self) -> AsyncIterator[LivePod]:
        async for pod in self._items("list_namespaced_pod", namespace=self._facility.namespace):
            if pod.get("status", {}).get("phase") not in _ENDED:
                yield live_pod(pod)

    async def _items(self, method: str, **given: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list, page by page, as JSON."""
        ask = getattr(CoreV1Api(await self._connected()), method)
        further = ""
        while True:
            answer = await ask(**given, limit=_PAGE, _continue=further, _preload_content=False)
            if answer.status != _OK:
                raise ApiException(status=answer.status, reason=answer.reason)
            page = await answer.json()
            for item in page["items"]:
                yield item
            further = page["metadata"].get("continue", "")
            if not further:
                return

    async def _connected(self) -> ApiClient:
        if self._client is None:
            self._client = ApiClient(await _credentials())
        return self._client


async def _credentials() -> Configuration:
    found = Configuration()
    try:
        config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await _read_file(found)
    return found


async def _read_file(found: Configuration) -> None:
    try:
        await config.load_kube_config(client_configuration=found)
    except config.ConfigException as error:
        raise SetupError(
            "No credentials for Kubernetes are here: run in a pod with a service account, or name a file in KUBECONFIG."
        ) from error


def live_pod(pod: Mapping[str, Any]) -> LivePod:
    """A pod as the ledger knows it, from its JSON."""
    metadata = pod["metadata"]
    told = metadata.get("annotations") or {}
    return LivePod(
        pod=PodName(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        owner=told.get(_OWNER, ""),
        server=told.get(_SERVER, ""),
        pool=told.get(_POOL, ""),
        size=_size(pod),
        reservation=told.get(_RESERVATION, ""),
    )


def _size(pod: Mapping[str, Any]) -> Resources | None:
    try:
        return pod_limits(pod["spec"])
    except UsageError as error:
        _LOG.warning("Pod %s counts as everything there is: %s", pod["metadata"]["name"], error)
        return None


def _offered(node: Mapping[str, Any]) -> Resources:
    """What a node offers to pods, if it is ready and takes any."""
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions") or ()}
    if conditions.get("Ready") != "True" or node.get("spec", {}).get("unschedulable"):
        return NOTHING
    amounts = node["status"]["allocatable"]
    return Resources(int(quantity(amounts["cpu"]) * 1000), int(quantity(amounts["memory"])))
