"""The hub's own spawner under the chart: with the account, the settings and the limits that the chart gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.objects import Hub
from jupyterhub.orm import Spawner as StoredSpawner
from traitlets.config import Config

from pachon.app.settings import Settings
from pachon.hub.config import configure
from pachon.hub.kube_labs import KubeLabSpawner
from support.chart.helm import CHART
from support.cluster.running import Cluster
from support.cluster.spawners import QUICK, Person, talking_to
from support.kube_double import LedgerDouble

pytestmark = pytest.mark.cluster
GIBIBYTE = 1024**3


class Lab(KubeLabSpawner):  # type: ignore[misc]
    """Asks a ledger that always says yes: what refuses here is the cluster."""

    def _ledger(self) -> Any:
        return LedgerDouble()


@contextmanager
def installation(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace(security="restricted") as name:
        done = cluster.helm("install", "pachon", str(CHART), "--namespace", name)
        assert done.returncode == 0, done.stderr
        try:
            yield name
        finally:
            cluster.kubectl("delete", "namespace", f"{name}-labs", "--wait=false")


def settings_of(cluster: Cluster, namespace: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the hub's pod reads them."""
    file = home / "pachon.yaml"
    file.write_text(cluster.read("configmap", "pachon-settings", "-n", namespace)["data"]["pachon.yaml"])
    monkeypatch.setenv("PACHON_SETTINGS", str(file))
    monkeypatch.setenv("PACHON_HOME", str(home))
    for name in ("PROXY_TOKEN", "LABS_TOKEN"):
        monkeypatch.setenv(f"PACHON_HUB__{name}", "t" * 32)
    return Settings()


def lab(settings: Settings, person: str, **options: str) -> Lab:
    config = Config()
    configure(config, settings)
    config.Lab = config.pop("KubeLabSpawner")
    config.Lab.update(QUICK)
    return Lab(
        hub=Hub(),
        user=Person(person),
        orm_spawner=StoredSpawner(name=""),
        config=config,
        api_token="a token of the lab",
        oauth_client_id="lab",
        user_options=options,
        _mock=True,
    )


def test_a_lab_starts_and_ends_under_what_the_chart_allows_and_its_home_stays(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installation(cluster) as namespace:
        labs, settings = f"{namespace}-labs", settings_of(cluster, namespace, tmp_path, monkeypatch)
        account = cluster.account_kubeconfig(namespace, "pachon-hub")
        cluster.wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default", "-n", labs).returncode == 0)

        async def live() -> dict[str, Any]:
            async with talking_to(account):
                one = lab(settings, "ada", size="medium")
                await one.start()
                (pod,) = cluster.read("pods", "-n", labs)["items"]
                await one.stop(now=True)
                return dict(pod)

        pod = asyncio.run(live())
        assert pod["spec"]["automountServiceAccountToken"] is False
        limits = pod["spec"]["containers"][0]["resources"]["limits"]
        assert limits == {"cpu": "2", "memory": str(8 * GIBIBYTE)}
        cluster.wait_until(lambda: cluster.read("pods", "-n", labs)["items"] == [])
        assert cluster.read("secrets", "-n", labs)["items"] == []
        (home,) = cluster.read("pvc", "-n", labs)["items"]
        assert home["metadata"]["name"].startswith("home-ada")
        assert home["spec"]["resources"]["requests"]["storage"] == str(settings.labs.storage.home_bytes)
