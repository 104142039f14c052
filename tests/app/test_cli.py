"""What the command line refuses, and how."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from pachon.app import commands_up
from pachon.app.secrets import load_or_make, secrets_path
from pachon.app.supervisor import checks
from pachon.core.errors import SetupError
from support.stack import PACHON, platform_environment


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
    done = _pachon("up", "--home", str(tmp_path), PACHON_QUERIES__WORKERS="abc", PACHON_LISTEN__DOOR="9")
    assert done.returncode == 2
    assert _is_one_sentence(done.stderr)
    assert all(name in done.stderr for name in ("queries.workers", "listen.door"))
    assert "abc" not in done.stderr


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


def test_one_port_option_moves_all_ports_but_those_that_were_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACHON_LISTEN__API_PORT", "7777")
    listen = commands_up.settled(tmp_path, 9000).listen
    assert (listen.proxy_port, listen.proxy_api_port, listen.hub_port) == (9000, 9001, 9002)
    assert (listen.api_port, listen.portal_port) == (7777, 9004)


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
