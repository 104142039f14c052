"""A spawner of pods without a cluster: an API that keeps what it is given, and pods that tests set the state of."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from jupyterhub.objects import Hub
from jupyterhub.orm import Spawner as SpawnerRow
from kubernetes_asyncio.client import ApiClient, V1Pod
from kubernetes_asyncio.client.exceptions import ApiException
from traitlets.config import Config

from pachon.app.lab_settings import LabImageSettings, LabSettings, LabStorageSettings
from pachon.app.settings import HubSettings, Settings
from pachon.core.errors import PachonError
from pachon.hub.config import configure
from pachon.hub.kube_labs import KubeLabSpawner
from pachon.hub.reservations import PodClaim

LABS = LabSettings(
    spawner="kubernetes",
    images=(
        LabImageSettings(name="plain", image="lab:plain"),
        LabImageSettings(name="science", image="lab:1", recommended=True, description="Astronomy packages"),
    ),
    storage=LabStorageSettings(releases_claim="releases"),
)


@dataclass
class LedgerDouble:
    """Says yes, or what it is told to say; `told` is what it was told, in order."""

    refusal: PachonError | None = None
    refuses_confirmation: PachonError | None = None
    told: list[str] = field(default_factory=list)
    claims: list[PodClaim] = field(default_factory=list)

    async def reserve(self, claim: PodClaim) -> str:
        self.told.append("reserve")
        self.claims.append(claim)
        if self.refusal:
            raise self.refusal
        return "reservation-1"

    async def confirm(self, reservation_id: str, claim: PodClaim, uid: str) -> None:
        self.told.append(f"confirm {reservation_id} {uid}")
        self.claims.append(claim)
        if self.refuses_confirmation:
            raise self.refuses_confirmation

    async def cancel(self, reservation_id: str) -> None:
        self.told.append(f"cancel {reservation_id}")

    async def release(self, namespace: str, pod: str, uid: str) -> None:
        self.told.append(f"release {namespace}/{pod} {uid}")


class ApiDouble:
    """Keeps pods, claims and secrets; `refusals` are what the next creations of pods meet."""

    def __init__(self, status: dict[str, Any] | None) -> None:
        self.api_client = ApiClient.__new__(ApiClient)  # it only writes documents: no connection is made
        self.pods: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.claims: list[Any] = []
        self.created: list[V1Pod] = []
        self.refusals: list[ApiException] = []
        self._status = status
        self._uids = map("uid-{}".format, itertools.count(1))

    async def create_namespaced_pod(self, namespace: str, pod: V1Pod) -> V1Pod:
        if self.refusals:
            raise self.refusals.pop(0)
        made = copy.deepcopy(pod)
        made.metadata.uid = next(self._uids)
        self.created.append(made)
        document = self.api_client.sanitize_for_serialization(made)
        document["status"] = self._status or {
            "phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [{"name": "notebook", "ready": True}]
        }  # fmt: skip
        self.pods[f"{namespace}/{pod.metadata.name}"] = document
        return made

    async def delete_namespaced_pod(self, *, name: str, namespace: str, **_: object) -> None:
        self.pods.pop(f"{namespace}/{name}", None)

    async def create_namespaced_persistent_volume_claim(self, *, namespace: str, body: Any) -> None:
        self.claims.append((namespace, body))

    async def create_namespaced_secret(self, namespace: str, secret: Any) -> None:
        if secret.metadata.name in self.secrets:
            raise ApiException(status=409, reason="AlreadyExists")
        await self.patch_namespaced_secret(secret.metadata.name, namespace, secret)

    async def patch_namespaced_secret(self, name: str, _namespace: str, secret: Any) -> None:
        self.secrets[name] = secret.data

    async def delete_namespaced_secret(self, name: str, _namespace: str) -> None:
        del self.secrets[name]


class SpawnerDouble(KubeLabSpawner):  # type: ignore[misc]
    """The real spawner over the doubles."""

    ledger: LedgerDouble
    folders: dict[str, Path]

    async def _start_watching_pods(self, **_: object) -> None:
        """What the API keeps is seen at once."""

    async def _start_watching_events(self, **_: object) -> None:
        """There are none."""

    @property
    def pod_reflector(self) -> Any:
        return SimpleNamespace(pods=self.api.pods)

    @property
    def event_reflector(self) -> Any:
        return None

    async def _readable(self) -> dict[str, Path]:
        return self.folders

    def _ledger(self) -> Any:
        return self.ledger


def spawner(
    home: Path,
    name: str = "novice",
    server: str = "",
    *,
    labs: LabSettings = LABS,
    groups: tuple[str, ...] = (),
    status: dict[str, Any] | None = None,
    **options: str,
) -> SpawnerDouble:
    """A spawner as the hub's own configuration makes it, for a person who chose some options."""
    secrets = HubSettings(proxy_token="p" * 32, labs_token="l" * 32)
    config = Config()
    settings = Settings(home=home, hub=secrets, labs=labs, allocation={"pools": {"deep-team": {"cpu": 6}}})
    configure(config, settings)
    config.SpawnerDouble = config.pop("KubeLabSpawner")
    user = SimpleNamespace(
        name=name,
        id=1,
        url=f"/user/{name}/",
        settings={},
        escaped_name=name,
        groups=[SimpleNamespace(name=group) for group in groups],
    )
    with mock.patch("kubespawner.spawner.load_config"), mock.patch("kubespawner.spawner.shared_client"):
        made = SpawnerDouble(
            config=config,
            user=user,
            hub=Hub(),
            orm_spawner=SpawnerRow(name=server),
            api_token="secret-token",
            oauth_client_id="lab",
            user_options=options,
            _mock=True,
        )
    made.api, made.ledger = ApiDouble(status), LedgerDouble()
    made.folders = {}
    return made
