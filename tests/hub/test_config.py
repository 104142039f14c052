"""JupyterHub's configuration says what labs need to know."""

from __future__ import annotations

from pathlib import Path

from traitlets.config import Config

from pachon.app.settings import HubSettings, Settings
from pachon.hub.config import configure
from pachon_lab.doors import Doors


def test_a_labs_doors_lead_to_the_portal_the_web_apis_and_the_handbook(tmp_path: Path) -> None:
    public_url = "https://sky.example.org/survey"
    hub = HubSettings(proxy_token="p" * 32, labs_token="l" * 32)
    config = Config()
    configure(config, Settings(home=tmp_path, public_url=public_url, hub=hub))
    assert config.Spawner.cmd[1:] == ["-m", "pachon.hub.singleuser"]
    assert Doors.from_environment(config.Spawner.environment) == Doors(
        portal=f"{public_url}/portal/", api=f"{public_url}/api/docs", documentation=f"{public_url}/docs/"
    )


def test_labs_are_told_where_an_administrators_templates_are_if_there_are_any(tmp_path: Path) -> None:
    secrets = {"proxy_token": "p" * 32, "labs_token": "l" * 32}
    for hub, told in (
        (HubSettings(**secrets, notebook_templates_path=tmp_path / "templates"), str(tmp_path / "templates")),
        (HubSettings(**secrets), None),
    ):
        config = Config()
        configure(config, Settings(home=tmp_path, hub=hub))
        assert config.Spawner.environment.get("PACHON_NOTEBOOK_TEMPLATES") == told
