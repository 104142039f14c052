from __future__ import annotations

import asyncio
import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from lxml import etree, html

import pachon
from pachon.app.housekeeping import forget, keep_tidy
from pachon.app.web import create_app
from pachon.app.wiring import Services
from pachon.core import clock
from pachon.core.ids import new_id
from pachon.queries.models import Execution, Phase, Protocol
from support.app import AS_HOLDER, Site, running_site
from support.skies import make_release

PAGES = ("/", "/api/docs", "/api/tap/examples")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("web"))) as running:
        running.client.get("/api/tap/sync", params={"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM sky.stars"})
        yield running


def test_status_tells_each_part_to_everybody(site: Site) -> None:
    told = site.client.get("/api/status").json()

    assert told == {
        "status": "ok",
        "version": pachon.__version__,
        "parts": {"database": "ok", "workers": "ok", "hub": "ok"},
    }


def test_status_says_which_part_is_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: object) -> bool:
        return False

    monkeypatch.setattr(type(site.services.principals), "is_up", away)
    answer = site.client.get("/api/status")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"] == {"database": "ok", "workers": "ok", "hub": "not answering"}


def test_releases_are_told_with_their_tables_and_columns(site: Site) -> None:
    (release,) = site.client.get("/api/releases?detail=columns").json()["releases"]

    assert {key: release[key] for key in ("id", "kind", "date", "simulated", "licence", "doi")} == {
        "id": "sky", "kind": "catalogue", "date": "2020-01-01", "simulated": True, "licence": "CC0-1.0", "doi": None,
    }  # fmt: skip
    (table,) = release["tables"]
    assert (table["name"], table["row_count"], table["has_position"]) == ("sky.stars", 20_000, True)
    assert (table["id_column"], table["ra_column"], table["dec_column"]) == ("id", "ra", "dec")
    assert table["columns"][1] == {
        "name": "ra", "datatype": "double", "unit": "deg", "ucd": "pos.eq.ra;meta.main",
        "description": "Right ascension, ICRS", "principal": True, "indexed": True,
    }  # fmt: skip
    assert site.client.get("/api/releases/sky").json() == release


def test_a_closed_release_is_told_to_holders_only(site: Site) -> None:
    for_holder = site.client.get("/api/releases", headers=AS_HOLDER).json()["releases"]

    assert [release["id"] for release in for_holder] == ["future", "sky"]
    closed, invented = site.client.get("/api/releases/future"), site.client.get("/api/releases/futura")
    assert closed.status_code == invented.status_code == 404
    assert closed.json()["error"]["message"] == "There is no release 'future'; there are: sky."
    assert site.client.get("/api/releases/future", headers=AS_HOLDER).json()["id"] == "future"


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/api/nowhere", 404, "NotFoundError", "There is nothing at /api/nowhere; /api/docs lists what there is."),
        ("/api/brand/../settings.py", 404, "NotFoundError", ""),
        ("/api/brand/settings.py", 404, "NotFoundError", "There is no brand file 'settings.py'"),
        ("/api/queries/executions", 401, "AuthenticationError", "log in, or send a token"),
        ("/api/tiles/sky.stars?order=-1&pixel=0", 400, "UsageError", "order"),
    ],
)
def test_errors_outside_vo_are_json_with_a_request_id(
    site: Site, path: str, status: int, code: str, message: str
) -> None:
    answer = site.client.get(path)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert message in error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert (status == 401) is ("www-authenticate" in answer.headers)


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/api/tap/nowhere", 404, "QUERY_STATUS"),
        ("DELETE", "/api/tap/sync", 405, "QUERY_STATUS"),
        ("GET", "/api/scs/sky.stars/nowhere", 404, "Error"),
        ("POST", "/api/tapestry", 404, None),
    ],
)
def test_unknown_addresses_of_a_protocol_are_told_as_it_tells_errors(
    site: Site, method: str, path: str, status: int, name: str | None
) -> None:
    answer = site.client.request(method, path)
    assert answer.status_code == status
    if name is None:
        assert "error" in answer.json()
    else:
        (info,) = (info for info in etree.fromstring(answer.content).iter("{*}INFO") if info.get("name") == name)
        assert f"at {path};" in (info.text or info.get("value"))


def test_a_wrong_method_says_what_is_possible(site: Site) -> None:
    answer = site.client.post("/api/releases")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert site.client.put("/api/tap/sync").headers["allow"] == "GET, POST, HEAD"
    assert site.client.put("/api/tap/async/none").headers["allow"] == "GET, POST, DELETE, HEAD"
    assert answer.json()["error"]["message"].startswith("POST is not possible at /api/releases")


def test_a_fault_of_ours_is_logged_and_told_by_its_request_id_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr(type(site.services.releases), "visible", fail)
    answer = site.client.get("/api/releases")

    assert answer.status_code == 500
    request_id = answer.json()["error"]["request_id"]
    assert request_id in answer.json()["error"]["message"]
    assert "secret" not in answer.text
    assert any(request_id in record.getMessage() and record.exc_info for record in caplog.records)


def test_every_answer_has_its_own_request_id(site: Site) -> None:
    ids = {site.client.get("/api/releases").headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize("path", PAGES)
def test_pages_ask_nothing_of_foreign_hosts(site: Site, path: str) -> None:
    page = html.fromstring(site.client.get(path).content)

    loaded = page.xpath("//script/@src | //link[@rel!='canonical']/@href | //img/@src | //form/@action")
    assert loaded
    for address in loaded:
        assert address.startswith(("/", site.url)), address
        assert not address.startswith("//")
        if "/api/brand/" in address:
            assert site.client.get(address).status_code == 200, address


def test_styles_and_scripts_ask_nothing_of_foreign_hosts(site: Site) -> None:
    for name in ("tokens.css", "base.css", "front.css", "front.js"):
        text = site.client.get(f"/api/brand/{name}").text
        assert not re.search(r"(url\(|@import|import\(|fetch\()\s*['\"]?(https?:)?//", text), name


def test_the_front_page_shows_visitors_what_is_loaded(site: Site) -> None:
    page = site.client.get("/").text

    assert "sky.stars" in page
    assert "Simulated" in page
    assert "future" not in page


def test_the_front_page_below_api_shows_what_the_person_may_see_and_is_kept_by_no_shared_cache(site: Site) -> None:
    theirs, anybodys = site.client.get("/api/front", headers=AS_HOLDER), site.client.get("/api/front")

    assert ("future" in theirs.text, "future" in anybodys.text) == (True, False)
    assert theirs.headers["X-VO-Authenticated"] == "novice"
    assert "private" in theirs.headers["Cache-Control"]
    assert {"Cookie", "Authorization"} <= {name.strip() for name in theirs.headers["Vary"].split(",")}


def test_the_handbook_is_served_as_soon_as_it_is_built_and_its_door_leads_somewhere_before(
    site: Site, tmp_path: Path
) -> None:
    settings = site.services.settings.model_copy(update={"docs_path": tmp_path})
    transport = httpx.ASGITransport(create_app(replace(site.services, settings=settings)))

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url=site.url) as client:
            return await client.get(path)

    def door() -> str:
        page = html.fromstring(asyncio.run(ask("/")).content)
        return str(page.xpath("//h3/a[text()='Documentation']/@href")[0])

    before = asyncio.run(ask("/docs/"))
    assert (before.status_code, before.headers["Location"]) == (303, f"{site.url}/api/docs")
    assert asyncio.run(ask("/docs/genindex.html")).status_code == 404
    assert door() == "/api/docs"
    (tmp_path / "index.html").write_text("<title>Handbook</title>")
    assert door() == "/docs/"
    assert "Handbook" in asyncio.run(ask("/docs/")).text
    assert asyncio.run(ask("/docs/%2e%2e/secrets.json")).status_code == 404
    assert asyncio.run(ask("/docs/nowhere")).status_code == 404


def test_the_page_of_the_web_apis_lists_every_address(site: Site) -> None:
    page = site.client.get("/api/docs").text
    paths = site.client.get("/api/openapi.json").json()["paths"]

    assert {"/api/tap/sync", "/api/scs/{table}", "/api/tiles/{table}", "/api/releases", "/api/status"} <= set(paths)
    assert [path for path in paths if path not in page] == []


def test_every_operation_has_a_summary(site: Site) -> None:
    paths = site.client.get("/api/openapi.json").json()["paths"]

    assert [path for path, methods in paths.items() for about in methods.values() if not about.get("summary")] == []


@pytest.mark.parametrize("path", ["/", "/api/status", "/favicon.ico", "/api/tap/sync?LANG=ADQL&QUERY=SELECT+1+AS+x"])
def test_head_gives_the_headers_of_get_without_a_body(site: Site, path: str) -> None:
    got, head = site.client.get(path), site.client.head(path)

    assert head.status_code == got.status_code
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.content == b""


def test_head_of_a_query_leaves_no_fault_in_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for adql in ("SELECT TOP 1 ra FROM sky.stars", "SELECT * FROM sky.stars", "SELECT nothing FROM sky.stars"):
        for form in ("votable", "fits", "csv"):
            query = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": form}
            assert site.client.head("/api/tap/sync", params=query).content == b""
    site.client.get("/api/status").raise_for_status()

    assert [record.getMessage() for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


def test_documents_are_compressed_and_rows_flow_as_they_are(site: Site) -> None:
    page = site.client.get("/api/openapi.json", headers={"Accept-Encoding": "gzip"})
    rows = site.client.get(
        "/api/tap/sync?LANG=ADQL&QUERY=SELECT+TOP+900+ra+FROM+sky.stars", headers={"Accept-Encoding": "gzip"}
    )

    assert page.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in rows.headers
    assert gzip.compress(page.content)


def test_browser_clients_of_other_origins_may_read_without_credentials(site: Site) -> None:
    answer = site.client.get("/api/scs/sky.stars?RA=0&DEC=0&SR=0", headers={"Origin": "https://aladin.example"})
    preflight = site.client.options(
        "/api/tap/sync", headers={"Origin": "https://aladin.example", "Access-Control-Request-Method": "POST"}
    )

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(site: Site) -> None:
    address = httpx.URL(site.url)
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        answer = connection.recv(65536).decode()

    assert answer.startswith("HTTP/1.1 413 ")
    assert 'name="QUERY_STATUS" value="ERROR"' in answer


def test_a_body_that_grows_over_the_limit_is_refused(site: Site) -> None:
    def body() -> Iterator[bytes]:
        for number in range(6):
            yield b"&field%d=" % number + b"x" * 1_000_000

    answer = site.client.post(
        "/api/tap/sync", content=body(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code == 400
    assert "may have at most" in answer.text


def test_cookies_never_have_the_root_path(site: Site) -> None:
    answer = site.client.get("/api/login?next=/")

    assert answer.status_code == 303
    assert answer.headers.get_list("set-cookie")
    assert all("path=/api/" in cookie.lower() for cookie in answer.headers.get_list("set-cookie"))


def test_records_past_their_destruction_are_forgotten(site: Site) -> None:
    past = clock.now() - timedelta(days=30)
    old = Execution(
        id=new_id(),
        owner="novice",
        protocol=Protocol.SCS,
        query="CONE sky.stars 0 0 1",
        tables=("sky.stars",),
        phase=Phase.COMPLETED,
        started_at=past,
        ended_at=past,
        destruction=past + timedelta(days=7),
    )
    recent = replace(old, id=new_id(), destruction=clock.now() + timedelta(days=7))
    for execution in (old, recent):
        site.services.executions.add(execution)

    forget(site.services)

    kept = {execution.id for execution in site.services.executions.list("novice", limit=100)}
    assert recent.id in kept
    assert old.id not in kept


def test_statistics_of_a_release_are_learnt_soon_after_it_is_published(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        asyncio.run(_published_while_tidied(site.services, tmp_path / "releases"))


def _within(seconds: float, check: Callable[[], object]) -> bool:
    until_s = time.monotonic() + seconds
    while not check() and time.monotonic() < until_s:
        time.sleep(0.05)
    return bool(check())


async def _published_while_tidied(services: Services, releases: Path) -> None:
    tidying = asyncio.create_task(keep_tidy(services, look_every_s=0.05))
    try:
        await asyncio.sleep(0.2)
        await asyncio.to_thread(make_release, releases, release_id="late", rows=50)
        release = next(each for each in services.store.releases() if each.id == "late")
        learnt = partial(services.ranges.of, release.tables[0])
        assert await asyncio.to_thread(_within, 15, learnt)
    finally:
        tidying.cancel()
