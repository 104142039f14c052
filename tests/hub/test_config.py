"""JupyterHub's configuration says what labs need to know."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from traitlets.config import Config

from pachon.app.lab_settings import LabImageSettings, LabSettings
from pachon.app.settings import HubSettings, ListenSettings, Settings
from pachon.hub import __main__ as hub
from pachon.hub import proxy
from pachon.hub.config import configure
from pachon_lab.doors import Doors


def test_a_labs_doors_lead_to_the_portal_the_web_apis_and_the_handbook(tmp_path: Path) -> None:
    public_url = "https://sky.example.org/survey"
    secrets = HubSettings(proxy_token="p" * 32, labs_token="l" * 32)
    config = Config()
    configure(config, Settings(home=tmp_path, public_url=public_url, hub=secrets))
    assert config.Spawner.cmd[1:] == ["-m", "pachon.hub.singleuser"]
    assert Doors.from_environment(config.Spawner.environment) == Doors(
        portal=f"{public_url}/portal/", api=f"{public_url}/api/docs", documentation=f"{public_url}/docs/"
    )


def test_labs_are_told_where_an_administrators_templates_are_if_there_are_any(tmp_path: Path) -> None:
    secrets = {"proxy_token": "p" * 32, "labs_token": "l" * 32}
    for given, told in (
        (HubSettings(**secrets, notebook_templates_path=tmp_path / "templates"), str(tmp_path / "templates")),
        (HubSettings(**secrets), None),
    ):
        config = Config()
        configure(config, Settings(home=tmp_path, hub=given))
        assert config.Spawner.environment.get("PACHON_NOTEBOOK_TEMPLATES") == told


def test_processes_on_machines_of_their_own_find_each_other_by_name(tmp_path: Path) -> None:
    names = {"hub_host": "hub", "api_host": "api", "portal_host": "portal", "proxy_api_host": "proxy"}
    settings = Settings(
        home=tmp_path,
        listen=ListenSettings(inner_host="0.0.0.0", **names),
        hub=HubSettings(proxy="configurable-http-proxy", proxy_token="p" * 32, labs_token="l" * 32),
    )
    config = Config()
    configure(config, settings)
    assert config.JupyterHub.hub_bind_url == "http://0.0.0.0:8002"
    assert config.JupyterHub.hub_connect_url == "http://hub:8002"
    assert config.ConfigurableHTTPProxy.api_url == "http://proxy:8001"
    assert config.LabSpawner.platform_url == settings.api_url == "http://api:8003/api"
    assert settings.hub_api_url == "http://hub:8002/hub/api"
    assert proxy.fixed_routes(settings) == {
        "/": "http://api:8003",
        "/api/": "http://api:8003",
        "/portal/": "http://portal:8004",
        "/user/": "http://hub:8002",
    }


def test_the_hub_as_a_part_of_the_platform_reads_the_platforms_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "NEVER_ASKED", ())
    asked: list[list[str]] = []
    monkeypatch.setattr("jupyterhub.app.main", asked.append)
    hub.serve(Settings())
    (arguments,) = asked
    assert arguments[0] == "--config"
    assert Path(arguments[1]).samefile(Path(proxy.__file__).with_name("jupyterhub_config.py"))


def test_labs_that_are_pods_ask_the_web_apis_inside_and_open_doors_outside(tmp_path: Path) -> None:
    public_url, database = "https://sky.example.org", "postgresql+psycopg://hub@database/hub"
    images = (LabImageSettings(name="science", image="lab:1"),)
    labs = LabSettings(spawner="kubernetes", images=images, named_servers=2)
    given = HubSettings(proxy_token="p" * 32, labs_token="l" * 32, db_url=database)
    config = Config()
    listen = ListenSettings(api_host="pachon-api.sky")
    configure(config, Settings(home=tmp_path, public_url=public_url, hub=given, labs=labs, listen=listen))
    assert config.Spawner.environment["PACHON_API_URL"] == "http://pachon-api.sky:8003/api"
    assert Doors.from_environment(config.Spawner.environment).portal == f"{public_url}/portal/"
    assert config.JupyterHub.db_url == database
    assert config.JupyterHub.named_server_limit_per_user == 2
    assert "Embedded" not in config.JupyterHub.template_vars["isolation_note"]


@pytest.mark.parametrize(
    ("labs", "told"),
    [
        ({"spawner": "kubernetes"}, "labs.images is empty"),
        ({"sizes": [{"name": "s", "cpu": 1, "memory_bytes": 2**30}] * 2}, "labs.sizes has two choices of one name"),
        ({"sizes": []}, "at least 1 item"),
    ],
)
def test_labs_that_cannot_be_chosen_are_refused_in_the_settings(
    tmp_path: Path, labs: dict[str, object], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(home=tmp_path, labs=labs)
