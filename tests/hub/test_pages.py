"""What pages say to those who hold no data rights, and what the proxy's files contain."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from pachon.app.settings import RightsSettings, Settings
from pachon.hub import pages, proxy, roles
from pachon.rights.models import Access

OPENED = {
    frozenset[Access](): "both",
    frozenset({Access.PORTAL}): "lab",
    frozenset({Access.PORTAL, Access.SPAWN}): None,
}


@pytest.mark.parametrize(("opened", "refused"), OPENED.items())
def test_roles_and_pages_of_the_hub_are_as_the_rights_policy_decides(
    tmp_path: Path, opened: frozenset[Access], refused: str | None
) -> None:
    settings = Settings(home=tmp_path, rights=RightsSettings(holder_groups=frozenset({"chile"}), open_to_all=opened))
    everybody, holders = (
        next(role for role in roles.roles(settings) if role["name"] == name) for name in ("user", "rights-holder")
    )
    scopes = {Access.SPAWN: "self", Access.PORTAL: roles.ACCESS_PORTAL}
    assert {access for access, scope in scopes.items() if scope in everybody["scopes"]} == opened
    assert (holders["groups"], set(holders["scopes"])) == (["chile"], set(scopes.values()))
    refused_to = pages.variables(settings, note="")["refused_to"](None)
    assert refused_to(SimpleNamespace(name="visitor", groups=[SimpleNamespace(name="others")])) == refused
    assert refused_to(SimpleNamespace(name="novice", groups=[SimpleNamespace(name="chile")])) is None


def test_the_hub_refuses_one_or_two_aspects_in_one_sentence() -> None:
    assert pages.HOLDERS_ONLY["lab"].startswith("JupyterLab is for data rights holders. Open to all")
    assert pages.HOLDERS_ONLY["both"].startswith("The Portal and JupyterLab are for data rights holders. Open to all")


def test_a_refusal_about_another_matter_is_not_put_down_to_data_rights() -> None:
    assert pages.refused_aspect("'_xsrf' argument missing from POST") is None


def test_fixed_routes_of_the_proxy_lead_each_prefix_to_its_process(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    proxy.program(settings, token="")
    http = tomllib.loads((proxy.hub_routes_path(settings).parent / "platform.toml").read_text())["http"]
    targets = {
        router["rule"].split("`")[1]: http["services"][router["service"]]["loadBalancer"]["servers"][0]["url"]
        for router in http["routers"].values()
    }
    hub, api, portal = (f"http://127.0.0.1:{port}" for port in (8002, 8003, 8004))
    assert targets == {"/": api, "/api/": api, "/portal/": portal, "/user/": hub, "/hub/": hub}
