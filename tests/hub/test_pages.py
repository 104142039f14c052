"""What pages say to those who hold no data rights, and what the proxy's files contain."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pachon.app.settings import Settings
from pachon.core import clock
from pachon.hub import pages, proxy
from pachon.identity.models import ANONYMOUS
from pachon.rights.models import Access
from pachon.rights.policy import RightsPolicy


@pytest.mark.parametrize(("aspect", "access"), [("lab", Access.SPAWN), ("portal", Access.PORTAL)])
def test_the_hub_refuses_in_the_words_of_the_rights_policy(aspect: str, access: Access) -> None:
    decision = RightsPolicy(frozenset({"rights-holders"})).decide(ANONYMOUS, access, at=clock.now())
    assert pages.HOLDERS_ONLY[aspect] == decision.reason


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
