"""A storage class whose claims are bound at once, without anything stored."""

from __future__ import annotations

import asyncio
from typing import Any

from kubernetes_asyncio import client

from support.cluster.watching import changes, unless_gone

STORAGE_CLASS = "fake"
_PROVISIONER = "fake.pachon.test"


class FakeStorage:
    """Makes a volume for each claim of the default storage class, and removes it after the claim.

    Parameters
    ----------
    api
        Client of whoever may make volumes.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self._core = client.CoreV1Api(api)
        self._classes = client.StorageV1Api(api)

    async def register(self) -> None:
        """Make the storage class, the default one."""
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        meta = {"name": STORAGE_CLASS, "annotations": default}
        await self._classes.create_storage_class({"metadata": meta, "provisioner": _PROVISIONER})

    async def live(self) -> None:
        """Provide and remove volumes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._provide())
            tasks.create_task(self._remove())

    async def _provide(self) -> None:
        async for claim in changes(self._core.list_persistent_volume_claim_for_all_namespaces):
            is_ours = claim["spec"].get("storageClassName") == STORAGE_CLASS
            if is_ours and claim["status"].get("phase") == "Pending" and "volumeName" not in claim["spec"]:
                await unless_gone(self._core.create_persistent_volume(_volume_for(claim)))

    async def _remove(self) -> None:
        async for volume in changes(self._core.list_persistent_volume):
            is_ours = volume["spec"].get("storageClassName") == STORAGE_CLASS
            if is_ours and volume["status"].get("phase") == "Released":
                await unless_gone(self._core.delete_persistent_volume(volume["metadata"]["name"]))


def _volume_for(claim: dict[str, Any]) -> dict[str, Any]:
    meta, spec = claim["metadata"], claim["spec"]
    owner = {key: meta[key] for key in ("name", "namespace", "uid")}
    return {
        "metadata": {
            "name": f"pvc-{meta['uid']}",
            "annotations": {"pv.kubernetes.io/provisioned-by": _PROVISIONER},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **owner},
            "csi": {"driver": _PROVISIONER, "volumeHandle": meta["uid"]},
        },
    }
