"""Labs as the hub's own configuration makes them, on the cluster of the tests.

Called as `python -m support.cluster.labs <namespace> <web APIs> <home> <kubeconfig> <person> <failpoint>`, it starts
one as a hub that dies at a failpoint.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from traitlets.config import Config

from pachon.app.lab_settings import LabImageSettings, LabSettings
from pachon.app.settings import HubSettings, Settings
from pachon.core.failpoints import arm
from pachon.hub.config import configure
from pachon.hub.kube_labs import KubeLabSpawner
from support.cluster.spawners import spawner_of, talking_to
from support.ledgers import HUB

IMAGE = "images.test/lab:1"


def lab_of(person: str, *, namespace: str, api_url: str, home: Path) -> KubeLabSpawner:
    """The spawner of a person's lab, which asks the ledger at this address."""
    images = (LabImageSettings(name="science", image=IMAGE),)
    labs = LabSettings(spawner="kubernetes", namespace=namespace, images=images, start_timeout_s=20)
    config = Config()
    hub = HubSettings(proxy_token="p" * 32, labs_token=HUB)
    configure(config, Settings(home=home, hub=hub, labs=labs))
    traits = {**config.KubeLabSpawner, "platform_url": api_url, "cmd": config.Spawner.cmd}
    made: KubeLabSpawner = spawner_of(person, KubeLabSpawner, **traits)
    return made


async def _die(namespace: str, api_url: str, home: Path, kubeconfig: Path, person: str) -> None:
    async with talking_to(kubeconfig):
        await lab_of(person, namespace=namespace, api_url=api_url, home=home).start()


if __name__ == "__main__":
    where, web_apis, folder, login, somebody, point = sys.argv[1:]
    arm(point)
    asyncio.run(_die(where, web_apis, Path(folder), Path(login), somebody))
