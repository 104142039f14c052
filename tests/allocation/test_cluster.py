"""What Kubernetes tells, page by page, and what becomes of it; the answers are as a real API server gives them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from kubernetes_asyncio.config import kube_config

from pachon.allocation.cluster import Facility, KubernetesCluster
from pachon.allocation.models import LivePod, Observation, PodName
from pachon.core.errors import SetupError, UnavailableError
from pachon.core.resources import Resources
from support.ledgers import GIBIBYTE, NAMESPACE

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
NODES = "/api/v1/nodes"


@dataclass
class Answers:
    """Lists by path; a list is given in pages of two."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    status: int = 200

    def page(self, address: str) -> dict[str, Any]:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        self.asked.append((parts.path, query))
        first = int(query.get("continue", ["0"])[0])
        items, end = self.lists[parts.path], first + 2
        return {"items": items[first:end], "metadata": {"continue": str(end)} if end < len(items) else {}}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    known = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(known.page(self.path)).encode()
            self.send_response(known.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        _write_credentials(tmp_path / "config", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        yield known
        server.shutdown()
        thread.join()


def _write_credentials(path: Path, address: str) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "api"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "api", "user": {"token": "secret"}}],
    }
    path.write_text(yaml.safe_dump(document))


def observed(**facility: Any) -> Observation:
    async def observe() -> Observation:
        cluster = KubernetesCluster(Facility(namespace=NAMESPACE, **facility))
        try:
            return await cluster.observe()
        finally:
            await cluster.aclose()

    return asyncio.run(observe())


def pod(name: str, phase: str, **annotations: str) -> dict[str, Any]:
    limits = {"cpu": "500m", "memory": "1Gi"}
    return {
        "metadata": {"namespace": NAMESPACE, "name": name, "uid": f"uid-{name}", "annotations": annotations},
        "spec": {"containers": [{"name": "lab", "resources": {"limits": limits}}]},
        "status": {"phase": phase},
    }


def node(cpu: str, memory: str, *, ready: str = "True", **spec: object) -> dict[str, Any]:
    status = {"allocatable": {"cpu": cpu, "memory": memory}, "conditions": [{"type": "Ready", "status": ready}]}
    return {"spec": spec, "status": status}


def test_every_pod_that_has_not_ended_is_found_whoever_made_it(answers: Answers) -> None:
    told = {"hub.jupyter.org/username": "novice", "hub.jupyter.org/servername": "big"}
    ours = pod("jupyter-novice--big", "Running", **told, **{"pachon/pool": "deep-team", "pachon/reservation": "r1"})
    ours["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z"
    strange = pod("by-hand", "Pending")
    del strange["metadata"]["annotations"], strange["spec"]["containers"][0]["resources"]
    answers.lists[PODS] = [pod("done", "Succeeded"), ours, pod("evicted", "Failed"), strange, pod("new", "Unknown")]
    found = observed(cpu=100, memory_bytes=400 * GIBIBYTE)
    half = Resources(500, GIBIBYTE)
    assert found.pods == [
        LivePod(
            pod=PodName(NAMESPACE, "jupyter-novice--big"),
            uid="uid-jupyter-novice--big",
            owner="novice",
            server="big",
            pool="deep-team",
            size=half,
            reservation="r1",
        ),
        LivePod(pod=PodName(NAMESPACE, "by-hand"), uid="uid-by-hand", size=None),
        LivePod(pod=PodName(NAMESPACE, "new"), uid="uid-new", size=half),
    ]
    assert found.capacity == Resources(100_000, 400 * GIBIBYTE)
    assert {path for path, _ in answers.asked} == {PODS}


def test_capacity_is_what_ready_nodes_offer_that_take_pods(answers: Answers) -> None:
    answers.lists |= {
        PODS: [],
        NODES: [
            node("3920m", "8000000Ki"),
            node("64", "256Gi", ready="Unknown"),
            node("64", "256Gi", unschedulable=True),
            node("2", "1Gi"),
        ],
    }
    found = observed(node_selector="pachon/labs=yes")
    assert found.capacity == Resources(5_920, 8_000_000 * 1024 + GIBIBYTE)
    assert answers.asked[0][1]["labelSelector"] == ["pachon/labs=yes"]
    assert observed(cpu=10).capacity == Resources(10_000, found.capacity.memory_bytes)


def test_a_cluster_that_refuses_or_is_away_is_not_an_empty_one(answers: Answers, tmp_path: Path) -> None:
    answers.lists[PODS] = []
    answers.status = 403
    with pytest.raises(UnavailableError, match="Kubernetes does not say which labs run"):
        observed(cpu=1, memory_bytes=1)
    _write_credentials(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="Kubernetes does not say which labs run"):
        observed(cpu=1, memory_bytes=1)
    (tmp_path / "config").unlink()
    with pytest.raises(SetupError, match="name a file in KUBECONFIG"):
        observed(cpu=1, memory_bytes=1)
