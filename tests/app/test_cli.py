"""What the command line refuses, and how."""

from __future__ import annotations

import json
import socket
import sqlite3
import stat
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from pachon.app import commands_up
from pachon.app.secrets import load_or_make, secrets_path
from pachon.app.settings import ListenSettings, Settings
from pachon.app.supervisor import checks, programs
from pachon.app.web import server_config
from pachon.core.errors import SetupError
from pachon.state.database import VERSION_TABLE
from support.stack import PACHON, free_ports, platform_environment

_PORT_NAMES = ("proxy_port", "proxy_api_port", "hub_port", "api_port", "portal_port")


def _pachon(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PACHON, *arguments],
        env=platform_environment(None, {"PACHON_DATA__DEFAULT_CATALOGUES": "false", **environment}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _is_one_sentence(text: str) -> bool:
    return text.startswith("pachon: ") and text.count("\n") == 1 and "Traceback" not in text


def test_a_taken_port_is_one_sentence_that_names_it_and_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _pachon("up", "--home", str(tmp_path), PACHON_LISTEN__HUB_PORT=str(port))
    assert done.returncode == 2
    assert _is_one_sentence(done.stderr)
    assert f"Port {port}" in done.stderr


def test_wrong_settings_are_named_in_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = _pachon("up", "--home", str(tmp_path), PACHON_QUERIES__BINDING_AT_ONCE="abc", PACHON_LISTEN__DOOR="9")
    assert done.returncode == 2
    assert _is_one_sentence(done.stderr)
    assert all(name in done.stderr for name in ("queries.binding_at_once", "listen.door"))
    assert "abc" not in done.stderr


@pytest.mark.parametrize("mass", ["releases", "releases/mass", ".", "elsewhere/../releases"])
def test_storage_tiers_in_one_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mass: str) -> None:
    monkeypatch.setenv("PACHON_DATA__MASS_PATH", str(tmp_path / mass))
    with pytest.raises(ValidationError, match=r"data\.path and data\.mass_path must be two folders"):
        commands_up.settled(tmp_path, None)


def test_what_the_system_refuses_is_one_sentence_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "releases").write_text("in the way")
    done = _pachon("release", "retire", "dr1", "--home", str(tmp_path))
    assert done.returncode == 1
    assert _is_one_sentence(done.stderr)
    assert str(tmp_path / "releases") in done.stderr


def test_a_home_that_cannot_be_written_to_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _pachon("up", "--detach", "--home", str(tmp_path / "file"))
    assert done.returncode == 2
    assert _is_one_sentence(done.stderr)


def test_a_detached_start_that_fails_passes_on_the_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = _pachon(
        "up", "--detach", "--home", str(tmp_path), PACHON_LISTEN__HUB_PORT="19999", PACHON_LISTEN__API_PORT="19999"
    )
    assert done.returncode == 2
    assert "Port 19999 is given to hub_port and api_port" in done.stdout


def test_a_proxy_that_is_not_installed_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = _pachon("up", "--home", str(tmp_path), PACHON_HUB__PROXY="configurable-http-proxy", PATH="/nowhere")
    assert done.returncode == 2
    assert "configurable-http-proxy" in done.stderr


def test_a_full_disk_is_told_with_what_is_free_and_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"GiB free and 1048576.0 GiB are needed"):
        checks.check_disk(tmp_path, needed_bytes=1024**5)


def test_status_and_down_say_when_nothing_runs(tmp_path: Path) -> None:
    status = _pachon("status", "--json", "--home", str(tmp_path))
    assert status.returncode == 1
    assert json.loads(status.stdout)["running"] is False
    down = _pachon("down", "--home", str(tmp_path))
    assert (down.returncode, down.stdout) == (0, "Nothing was running.\n")


_SLOW_APT = """#!/bin/sh
case "$0" in
*apt-config) echo "FOUND='$(dirname "$0")/sources.list'" ;;
*) sleep 600 & echo "$$ $!" >"$(dirname "$0")/pids"; wait ;;
esac
"""


def _slow_downloads(folder: Path) -> dict[str, str]:
    """An environment in which pip finds no index, and apt starts a helper and downloads for ten minutes."""
    folder.mkdir()
    for name in ("apt-config", "apt-get"):
        (folder / name).write_text(_SLOW_APT)
        (folder / name).chmod(0o700)
    (folder / "sources.list").write_text("deb http://127.0.0.1:9/ stable main\n")
    return {
        "PATH": f"{folder}:/usr/bin:/bin",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": "/dev/null",
    }


def test_a_stop_during_the_first_build_ends_the_download_and_all_it_started(tmp_path: Path) -> None:
    home, downloads = tmp_path / "home", tmp_path / "bin"
    environment = platform_environment(None, _slow_downloads(downloads))
    with (tmp_path / "said").open("w") as said:
        up = subprocess.Popen([*PACHON, "up", "--home", str(home)], env=environment, stdout=said)
    try:
        pids = _wait_for_text(downloads / "pids", up)
        family = psutil.Process(up.pid).children(recursive=True)
        assert {int(pid) for pid in pids.split()} < {member.pid for member in family}
        assert _pachon("down", "--home", str(home)).stdout == "Stopped.\n"
        assert up.wait(30) == 0
        assert [member for member in family if member.is_running()] == []
        assert list(home.rglob("*.part")) == []
        assert "openngc is left out: Getting the Python package" in (tmp_path / "said").read_text()
    finally:
        up.kill()
        up.wait()


def _wait_for_text(path: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return path.read_text()


def test_a_build_that_is_not_possible_ends_with_its_own_sentence_and_exit_code_2(tmp_path: Path) -> None:
    nothing = {**_slow_downloads(tmp_path / "bin"), "PATH": str(tmp_path)}
    done = _pachon("prepare", PACHON_HOME=str(tmp_path), PACHON_DATA__DEFAULT_CATALOGUES="true", **nothing)
    assert done.returncode == 2
    assert _is_one_sentence(done.stderr)
    assert "No catalogue could be built" in done.stderr
    assert "openngc is left out: Getting the Python package" in done.stdout


def test_only_the_front_port_is_asked_of_the_address_people_use(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, listen=ListenSettings(host="0.0.0.0"))
    assert settings.base_url == settings.front_url == "http://127.0.0.1:8000"
    assert {urlsplit(url).hostname for url in (settings.api_url, settings.hub_api_url)} == {"127.0.0.1"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        ports = dict(zip(_PORT_NAMES, (taken.getsockname()[1], *free_ports(4)), strict=True))
        with pytest.raises(SetupError, match=r"on 127\.0\.0\.2"):
            checks.check_ports(ListenSettings(host="127.0.0.2", **ports))
        inner = {**ports, "proxy_port": ports["api_port"], "api_port": ports["proxy_port"]}
        checks.check_ports(ListenSettings(host="127.0.0.2", **inner))


@pytest.mark.parametrize("way", ["option", "setting"])
def test_one_port_moves_all_ports_but_those_that_were_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("PACHON_LISTEN__API_PORT", "7777")
    monkeypatch.setenv("PACHON_LISTEN__PROXY_PORT", "9000" if way == "setting" else "9100")
    listen = commands_up.settled(tmp_path, 9000 if way == "option" else None).listen
    assert (listen.proxy_port, listen.proxy_api_port, listen.hub_port) == (9000, 9001, 9002)
    assert (listen.api_port, listen.portal_port) == (7777, 9004)


def test_children_see_the_addresses_that_were_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = ListenSettings(inner_host="0.0.0.0", hub_host="hub", trusted_proxies={"10.0.0.0/8", "::1"}, finish_s=2.5)
    for name, value in programs.settings_environment(Settings(home=tmp_path, listen=listen)).items():
        monkeypatch.setenv(name, value)
    assert Settings().listen == listen


def test_the_web_apis_listen_and_end_as_they_are_told() -> None:
    listen = ListenSettings(inner_host="0.0.0.0", api_port=8765, trusted_proxies={"10.0.0.0/8"}, finish_s=90)
    config = server_config(FastAPI(), Settings(listen=listen))
    assert (config.host, config.port, config.timeout_graceful_shutdown) == ("0.0.0.0", 8765, 90)
    assert config.forwarded_allow_ips == ["10.0.0.0/8"]


def test_migrating_brings_the_schema_up_and_can_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        done = _pachon("migrate", PACHON_HOME=str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(tmp_path / "pachon.sqlite")) as database:
        assert database.execute(f"SELECT count(*) FROM {VERSION_TABLE}").fetchone() == (1,)


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    made = load_or_make(tmp_path, ("admin", "novice"))
    assert stat.S_IMODE(secrets_path(tmp_path).stat().st_mode) == 0o600
    assert load_or_make(tmp_path, ("admin", "novice")) == made
    later = load_or_make(tmp_path, ("admin", "novice", "visitor"))
    assert later.demo_passwords["novice"] == made.demo_passwords["novice"]
    assert len(set(later.demo_passwords.values())) == 3


def test_unreadable_secrets_are_never_replaced_silently(tmp_path: Path) -> None:
    secrets_path(tmp_path).write_text("{")
    with pytest.raises(SetupError, match="repair it, or remove it"):
        load_or_make(tmp_path, ())
    assert secrets_path(tmp_path).read_text() == "{"
