"""KubeSpawner as the hub runs it, against a test cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.objects import Hub
from jupyterhub.orm import Spawner as StoredSpawner
from kubernetes_asyncio.config import kube_config
from kubespawner import KubeSpawner
from kubespawner.clients import load_config
from traitlets.config import Config

QUICK = {"start_timeout": 20, "services_enabled": False, "delete_grace_period": 0}


class Person:
    """What a spawner asks of a user of the hub."""

    settings: dict[str, Any] = {}  # noqa: RUF012 -- nobody changes it

    def __init__(self, name: str) -> None:
        self.name = self.escaped_name = name
        self.id = 1
        self.url = f"/user/{name}/"
        self.groups: list[Any] = []

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)

    async def get_auth_state(self) -> None:
        """Nothing is known of the login."""


@asynccontextmanager
async def talking_to(kubeconfig: Path) -> AsyncIterator[None]:
    """Let spawners of this process use a cluster, as whoever the file says."""
    load_config.cache_clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
        try:
            yield
        finally:
            await KubeSpawner._stop_all_reflectors()
            load_config.cache_clear()


def spawner_of(person: str, kind: type[KubeSpawner] = KubeSpawner, **settings: Any) -> KubeSpawner:
    """A spawner of a person's lab, which waits for the pod and not for the server in it."""
    config = Config()
    config[kind.__name__].update({**QUICK, **settings})
    return kind(
        hub=Hub(),
        user=Person(person),
        orm_spawner=StoredSpawner(name=""),
        config=config,
        api_token="a token of the lab",
        oauth_client_id="unused",
        _mock=True,
    )
