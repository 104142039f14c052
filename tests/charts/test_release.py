"""What is in a release: the same each time, apart from others, with what the platform's own code expects."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from oauthenticator.generic import GenericOAuthenticator
from traitlets.config import Config
from typer.main import get_command

from pachon.app import cli
from pachon.app.settings import Settings
from pachon.hub.accounts import DEMO_ACCOUNTS
from support.chart.helm import Rendered, render
from support.chart.rules import load_settings
from support.chart.values import MATRIX


def objects(rendered: Rendered) -> set[tuple[str, str, str]]:
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in rendered.manifests
    }


def test_two_renderings_with_a_secret_of_ones_own_are_equal() -> None:
    values = MATRIX["brought along"]
    assert render(values).manifests == render(values).manifests


def test_without_one_only_the_made_secret_and_what_follows_from_it_differ() -> None:
    first, second = render(), render()
    differing = {
        (one["kind"], one["metadata"]["name"])
        for one, other in zip(first.manifests, second.manifests, strict=True)
        if _without_checksums(one) != _without_checksums(other)
    }
    assert differing == {("Secret", "pachon-secrets")}


def _without_checksums(manifest: dict[str, Any]) -> str:
    pod = manifest.get("spec", {}).get("template", {}).get("metadata", {})
    checksums = {key for key in pod.get("annotations", {}) if key.startswith("checksum/")} - {"checksum/settings"}
    for key in checksums:
        pod["annotations"].pop(key)
    return json.dumps(manifest, sort_keys=True)


def test_a_pod_is_told_when_the_secret_of_this_very_rendering_changes() -> None:
    """A template that made new secrets for each checksum would restart everything at every upgrade."""
    rendered = render()
    made = rendered.one("Secret", "-secrets")["data"]
    for name in ("hub", "api", "portal"):
        annotations = rendered.one("Deployment", f"-{name}")["spec"]["template"]["metadata"]["annotations"]
        text = "\n".join(f"{key}: {value}" for key, value in sorted(made.items()))
        assert annotations["checksum/secrets"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("release", "namespace", "values"),
    [("pachon", "other", {}), ("second", "sky", {"labs": {"namespace": "second-labs"}})],
    ids=["same name in another namespace", "another name in the same namespace"],
)
def test_two_releases_in_one_cluster_do_not_meet(release: str, namespace: str, values: dict[str, Any]) -> None:
    for given in ({}, MATRIX["large"]):
        first = objects(render(given))
        second = objects(render({**given, **values}, release=release, namespace=namespace))
        assert first & second == set()


def test_names_stay_within_what_kubernetes_takes() -> None:
    for release in ("r" * 53, "pachon-" + "r" * 46):
        found = render(MATRIX["large"], release=release).manifests
        assert max(len(each["metadata"]["name"]) for each in found) <= 63


def test_commands_of_the_pods_exist() -> None:
    asked = [
        container["command"][1:]
        for _, container in render(MATRIX["large"]).containers()
        if container.get("command", [""])[0] == "pachon"
    ]
    assert sorted(asked) == [["data", "build"], ["migrate"], ["serve", "api"], ["serve", "hub"], ["serve", "portal"]]
    assert {words[1] for words in asked if words[0] == "serve"} == set(cli._SERVERS)
    commands = get_command(cli.app).commands
    assert {words[0] for words in asked} <= set(commands)
    assert "build" in commands["data"].commands


def test_the_demo_accounts_of_the_chart_are_those_of_the_hub() -> None:
    made = render().one("Secret", "-secrets")["data"]["demo-passwords"]
    passwords = json.loads(base64.b64decode(made))
    assert set(passwords) == {account.name for account in DEMO_ACCOUNTS}
    assert len(set(passwords.values())) == len(passwords)


def test_any_setting_reaches_the_platform() -> None:
    settings = load_settings(render(MATRIX["large"]))
    assert settings.queries.scan.workers == 6
    assert settings.queries.scan.memory_bytes == 17_179_869_184
    assert settings.queries.heavy == Settings().queries.heavy
    assert settings.base_url == "https://sky.example.org"
    assert settings.listen.finish_s == 90


def test_the_database_is_addressed_without_its_password() -> None:
    for name, url in (
        ("default", "postgresql+psycopg://pachon@pachon-database:5432/pachon"),
        ("brought along", "postgresql+psycopg://pachon@db.example.org:5432/pachon?sslmode=require"),
    ):
        rendered = render(MATRIX[name])
        assert load_settings(rendered).database_url == url
        (migrations,) = rendered.one("Job", "-migrations")["spec"]["template"]["spec"]["containers"]
        told = {each["name"]: each for each in migrations["env"]}
        assert told["PACHON_DATABASE__URL"]["value"] == url
        secret = told["PGPASSWORD"]["valueFrom"]["secretKeyRef"]["name"]
        assert secret == ("pachon-secrets" if name == "default" else "sky-database")


def test_login_by_openid_connect_is_set_up_as_its_class_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render(MATRIX["brought along"])
    settings = load_settings(rendered)
    (path,) = settings.hub.config_files
    monkeypatch.setenv("OIDC_CLIENT_SECRET", "known")
    config = Config()
    exec(rendered.one("ConfigMap", "-settings")["data"][path.name], {"c": config})
    given = config.GenericOAuthenticator
    assert set(given) <= set(GenericOAuthenticator.class_traits(config=True))
    login = GenericOAuthenticator(config=config)
    assert (login.client_id, login.client_secret) == ("pachon", "known")
    assert login.oauth_callback_url == "https://sky.example.org:8443/hub/oauth_callback"
    assert login.allowed_groups == {"rights-holders", "staff"}
    assert settings.hub.authenticator_class == "oauthenticator.generic.GenericOAuthenticator"
    assert settings.hub.administrators == {"ada"}


def test_labs_reach_hub_and_web_apis_and_the_internet_only_if_they_may() -> None:
    for is_open in (True, False):
        rendered = render({"labs": {"internet": is_open}})
        (policy,) = [
            each
            for each in rendered.of_kind("NetworkPolicy")
            if each["metadata"]["namespace"] == "sky-labs" and each["metadata"]["name"].endswith("-labs")
        ]
        rules = policy["spec"]["egress"]
        ports = {port["port"] for rule in rules for port in rule.get("ports", ())}
        assert ports == {53, 8002, 8003}
        assert any("ipBlock" in peer for rule in rules for peer in rule["to"]) is is_open
