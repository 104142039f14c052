"""The process model with real processes: one login, whose cookies go where, and what survives a kill."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import lxml.html
import psutil
import pytest
from websockets.sync.client import connect

import pachon
from pachon.app.settings import ListenSettings
from pachon.hub.pages import HOLDERS_ONLY
from pachon.identity.models import Scope
from support.skies import make_release
from support.stack import PACHON, Platform, platform_environment, running_platform

pytestmark = pytest.mark.stack

_ROWS = 20_000
_COUNT = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM sky.stars", "FORMAT": "csv"}
_LAB_TIMEOUT_S = 60.0
_BEFORE_ROUTES = {"proxy": {"404"}}  # Traefik listens some milliseconds before it has read its routes
_LOOPBACK = "127.0.0.1"
_CHART_TESTS = Path(__file__).resolve().parents[2] / "helm" / "pachon" / "files"


_PROXIES = ("traefik", "configurable-http-proxy")


@pytest.fixture(scope="module", params=_PROXIES)
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform behind each of the proxies."""
    if request.param == _PROXIES[0]:
        yield request.getfixturevalue("platform")
        return
    settings = request.getfixturevalue("other_proxy")
    folder = tmp_path_factory.mktemp("other-proxy")
    make_release(folder / "releases")
    with running_platform(folder / "home", folder / "releases", settings=settings) as running:
        yield running


@pytest.mark.parametrize("name", ["admin", "astronomer", "novice", "visitor"])
def test_each_demo_account_logs_in_once_for_hub_and_web_apis(platform: Platform, name: str) -> None:
    with platform.person(name) as client:
        assert client.get("/hub/home").url.path == "/hub/home"
        page = client.get("/api/login", params={"next": "/"})
        assert (page.status_code, page.url.path) == (200, "/")
        assert client.get("/api/releases").headers["X-VO-Authenticated"] == name


def test_a_wrong_password_is_refused_and_an_unknown_name_reads_the_same(platform: Platform) -> None:
    for name in ("novice", "nobody"):
        with platform.person(name, "wrong") as client:
            assert client.get("/hub/home").url.path == "/hub/login"


def test_the_front_page_and_public_catalogues_are_open_without_logging_in(platform: Platform) -> None:
    with platform.visitor() as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/tap/sync", params=_COUNT).text.split() == ["n", str(_ROWS)]


def test_the_web_apis_name_their_software_also_through_the_proxy(platform: Platform) -> None:
    with platform.visitor() as client:
        assert client.get("/api/tap/availability").headers.get_list("server") == [f"Pachon/{pachon.__version__}"]


def test_a_rights_holder_enters_the_portal_without_another_login(platform: Platform) -> None:
    with platform.person("novice") as client:
        page = client.get("/portal/")
        assert (page.status_code, page.url.path) == (200, "/portal/")


def test_websockets_of_portal_and_lab_go_through_the_proxy(platform: Platform, lab: psutil.Process) -> None:
    sockets = platform.base_url.replace("http://", "ws://")
    with platform.person("novice") as client:
        page = client.get("/portal/").text
        cookie = client.build_request("GET", "/portal/ws").headers["cookie"]
    session = re.search(r'"token":"([^"]+)"', page)[1]
    origin = {"Origin": platform.base_url, "Cookie": cookie}
    with connect(
        f"{sockets}/portal/ws", subprotocols=["bokeh", session], additional_headers=origin, proxy=None
    ) as portal:
        assert json.loads(portal.recv(30))["msgtype"] == "ACK"
    token = {"Authorization": f"token {lab.environ()['JUPYTERHUB_API_TOKEN']}"}
    with connect(f"{sockets}/user/novice/api/events/subscribe", additional_headers=token, proxy=None) as events:
        assert events.response.status_code == httpx.codes.SWITCHING_PROTOCOLS
        events.ping().wait(30)


def test_the_tests_that_the_chart_brings_pass_on_a_platform_that_is_well(platform: Platform) -> None:
    listen = ListenSettings.model_validate(
        {name.lower(): value for name, value in _with_prefix(platform.environment, "PACHON_LISTEN__")}
    )
    is_other = platform.environment.get("PACHON_HUB__PROXY") == _PROXIES[1]
    addresses = {
        "API": listen.api_url,
        "PROXY": platform.base_url,
        "HUB_HEALTH": f"{listen.hub_url}/hub/health",
        "API_HEALTH": f"{listen.api_url}/api/status",
        "PORTAL_HEALTH": f"{listen.portal_url}/portal/health",
        "PROXY_HEALTH": f"{platform.base_url}{'/_chp_healthz' if is_other else '/api/status'}",
        "DEMO_PASSWORDS": json.dumps(platform.accounts),
    }
    scripts = sorted(_CHART_TESTS.glob("test_*.py"))
    assert [script.stem for script in scripts] == ["test_health", "test_login", "test_tap"]
    for script in scripts:
        done = subprocess.run([sys.executable, script], env=addresses, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    wrong = {**addresses, "DEMO_PASSWORDS": '{"astronomer": "wrong"}'}
    assert subprocess.run([sys.executable, scripts[1]], env=wrong, capture_output=True, check=False).returncode == 1


def _with_prefix(environment: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    return ((name.removeprefix(prefix), value) for name, value in environment.items() if name.startswith(prefix))


@pytest.mark.parametrize(("path", "aspect"), [("/hub/spawn", "lab"), ("/portal/", "portal")])
def test_a_visitor_is_refused_with_the_reason_and_what_is_open(platform: Platform, path: str, aspect: str) -> None:
    with platform.person("visitor") as client:
        page = client.get(path)
        assert page.status_code == 403
        assert HOLDERS_ONLY[aspect] in page.text


def test_the_login_page_and_the_log_say_that_nobody_is_isolated(platform: Platform) -> None:
    with platform.visitor() as client:
        assert "isolates nobody" in client.get("/hub/login").text
    assert "isolates nobody" in (platform.home / "logs" / "hub.log").read_text()


def test_only_the_hubs_session_id_has_path_slash_and_a_lab_gets_no_cookie_of_portal_or_web_apis(
    platform: Platform, lab: psutil.Process
) -> None:
    del lab
    with platform.person("novice") as client:
        for path in ("/api/login?next=/", "/portal/", "/hub/home", "/user/novice/lab"):
            assert client.get(path).status_code == 200
        paths = {cookie.name: cookie.path for cookie in client.cookies.jar}
        assert [name for name, path in paths.items() if path == "/"] == ["jupyterhub-session-id"]
        assert {"/api/", "/portal/"} <= {f"/{path.strip('/')}/" for path in paths.values()}
        request = client.build_request("GET", "/user/novice/api/contents")
        sent = {pair.split("=")[0].strip() for pair in request.headers["cookie"].split(";")}
        assert sent == {"jupyterhub-session-id", "jupyterhub-user-novice", "_xsrf"}


def test_a_labs_token_asks_as_its_owner_and_cannot_start_or_stop_anything(
    platform: Platform, lab: psutil.Process
) -> None:
    environment = lab.environ()
    assert environment["PACHON_PLATFORM_HOME"] == str(platform.home)
    token = {"Authorization": f"Bearer {environment['JUPYTERHUB_API_TOKEN']}"}
    assert environment["PACHON_API_URL"] == f"{platform.base_url}/api"
    with httpx.Client(base_url=platform.base_url, headers=token, trust_env=False, timeout=30) as client:
        model = client.get("/hub/api/user").json()
        assert (model["name"], model["groups"]) == ("novice", ["rights-holders"])
        assert {Scope.QUERY, "access:services!service=api"} <= set(model["scopes"])
        assert client.get("/api/tap/sync", params=_COUNT).text.split() == ["n", str(_ROWS)]
        assert client.delete("/hub/api/users/novice/server").status_code in {403, 404}


def test_homes_and_secrets_are_readable_by_their_owner_only(platform: Platform, lab: psutil.Process) -> None:
    assert Path(lab.cwd()) == platform.home / "homes" / "novice"
    for path in (platform.home / "homes" / "novice", platform.home / "secrets.json", platform.home / "logs"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_token_of_the_proposed_scopes_asks_as_its_owner_by_every_line_on_the_page_and_can_do_nothing_else(
    platform: Platform, token: str
) -> None:
    with platform.person("novice") as client:
        page = lxml.html.fromstring(client.get("/hub/token").text)
    lines = {heading.text: heading.getnext() for heading in page.xpath("//main//section/h3")}
    assert list(lines) == ["TOPCAT", "Python, with pyvo", "curl"]
    python = lines["Python, with pyvo"].text_content().replace("TOKEN", token)
    names: dict[str, Any] = {}
    exec(python, names)
    assert names["session"].get(names["tap"].baseurl + "/capabilities").headers["X-VO-Authenticated"] == "novice"
    curl = shlex.split(lines["curl"].text_content().replace("TOKEN", token))
    done = subprocess.run([*curl, "--silent"], capture_output=True, text=True, timeout=60, check=True)
    assert "sky.stars" in done.stdout
    with httpx.Client(base_url=platform.base_url, auth=("anybody", token), trust_env=False) as basic:
        assert basic.get("/api/tap/tables").headers["X-VO-Authenticated"] == "novice"
    with httpx.Client(base_url=platform.base_url, headers={"Authorization": f"Bearer {token}"}) as bearer:
        assert bearer.post("/hub/api/users/novice/tokens", json={}).status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize("name", ["hub", "proxy"])
def test_a_killed_hub_or_proxy_comes_back_alone_with_labs_alive_and_no_query_is_answered_wrongly(
    platform: Platform, lab: psutil.Process, token: str, name: str
) -> None:
    _kill_one(platform, lab, token, name=name)


@pytest.mark.parametrize("platform", _PROXIES[:1], indirect=True)
@pytest.mark.parametrize("name", ["portal", "api"])
def test_a_killed_process_behind_the_proxy_comes_back_alone_and_no_query_is_answered_wrongly(
    platform: Platform, lab: psutil.Process, token: str, name: str
) -> None:
    _kill_one(platform, lab, token, name=name)


def test_only_the_proxy_listens_where_the_setting_says_and_all_else_on_loopback(
    platform: Platform, lab: psutil.Process
) -> None:
    del lab
    members = psutil.Process(platform.supervisor.pid).children(recursive=True)
    bound = {
        (found.laddr.ip, found.laddr.port)
        for member in members
        for found in member.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }
    front = urlsplit(platform.base_url)
    assert (front.hostname, front.port) in bound
    assert {ip for ip, port in bound if port != front.port} == {_LOOPBACK}
    assert {port for ip, port in bound if ip != _LOOPBACK} <= {front.port}


@pytest.mark.parametrize("platform", _PROXIES[:1], indirect=True)
def test_a_second_platform_starts_beside_the_first_and_down_leaves_nothing_of_it(
    platform: Platform, tmp_path: Path
) -> None:
    environment = platform_environment(platform.home.parent / "releases", {})
    home = str(tmp_path / "second")

    def pachon(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PACHON, *arguments, "--home", home]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)

    up = pachon("up", "--detach")
    try:
        assert up.returncode == 0, up.stdout
        assert f"http://127.0.0.1:{environment['PACHON_LISTEN__PROXY_PORT']}" in up.stdout
        again = pachon("up")
        assert (again.returncode, again.stdout.split(":")[0]) == (0, "Already up")
        family = _family_of(home)
        assert len(family) >= 5
    finally:
        down = pachon("down")
    assert (down.returncode, down.stdout) == (0, "Stopped.\n")
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert platform.status()["ready"]


@pytest.fixture(scope="module")
def lab(platform: Platform) -> psutil.Process:
    """The process of novice's running lab."""
    with platform.person("novice") as client:
        client.get("/hub/spawn")
        _wait(lambda: client.get("/user/novice/lab").url.path == "/user/novice/lab", _LAB_TIMEOUT_S)
    supervisor = psutil.Process(platform.supervisor.pid)
    return next(found for found in supervisor.children(recursive=True) if "pachon.hub.singleuser" in found.cmdline())


@pytest.fixture(scope="module")
def token(platform: Platform) -> str:
    """A token of novice's with the scopes that the hub's page of tokens proposes first."""
    with platform.person("novice") as client:
        page = client.get("/hub/token").text
        scopes = re.search(r'<option value="([^"]+)">Ask the catalogues', page)[1].split()
        xsrf = next(cookie.value for cookie in client.cookies.jar if (cookie.name, cookie.path) == ("_xsrf", "/hub/"))
        made = client.post(
            "/hub/api/users/novice/tokens",
            json={"note": "query loop", "scopes": scopes},
            headers={"X-XSRFToken": xsrf or "", "Referer": f"{platform.base_url}/hub/token"},
        )
        assert made.status_code == 201, made.text
        return str(made.json()["token"])


def _kill_one(platform: Platform, lab: psutil.Process, token: str, *, name: str) -> None:
    """Kill a process while somebody asks: it alone is another afterwards, and every answer was right or none."""
    before = platform.pids
    with _asking(platform, token) as answers:
        os.kill(before[name], signal.SIGKILL)
        _wait_for_new_process(platform, name, before[name])
        platform.wait_until_ready(60)
        _wait_for_routes(platform)
        asked = len(answers)
        _wait(lambda: answers[asked:].count("right") >= 3)
    after = platform.pids
    assert {part for part in before if before[part] != after[part]} == {name}
    assert set(answers) <= {"right", "502", "503", "cut"} | _BEFORE_ROUTES.get(name, set())
    assert "ended (signal 9" in platform.output
    with platform.person("novice") as client:
        assert client.get("/user/novice/lab").url.path == "/user/novice/lab"
    assert lab.is_running()


@contextmanager
def _asking(platform: Platform, token: str) -> Iterator[list[str]]:
    """Ask the same question again and again; what came of it: `right`, a status, `cut`, or the wrong answer."""
    answers: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(
            base_url=platform.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        ) as client:
            while not enough.wait(0.02):
                answers.append(_outcome(client))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        _wait(lambda: answers.count("right") >= 3)
        yield answers
    finally:
        enough.set()
        asker.join()


def _outcome(client: httpx.Client) -> str:
    try:
        response = client.get("/api/tap/sync", params=_COUNT)
    except httpx.TransportError:
        return "cut"
    if response.status_code != 200:
        return str(response.status_code)
    return "right" if response.text.split() == ["n", str(_ROWS)] else response.text


def _wait_for_routes(platform: Platform) -> None:
    """A new configurable-http-proxy knows no routes until the hub, which looks now and then, tells it again."""
    with platform.visitor() as client:
        _wait(lambda: client.get("/hub/health").status_code == httpx.codes.OK)


def _wait_for_new_process(platform: Platform, name: str, old: int) -> None:
    _wait(lambda: platform.pids[name] not in {None, old}, 10)


def _wait(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _family_of(home: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PACHON_PLATFORM_HOME") == home or home in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found
