"""The front page says what is there, to everybody, and asks nobody else."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import jinja2
import pytest

import pachon.app.pages
from pachon import brand
from pachon.app.settings import Settings
from pachon.identity.models import ANONYMOUS, Principal
from pachon.releases.models import Release, ReleaseKind, Table
from pachon.rights.models import Audience
from support.browser import chromium, visiting

BASE_URL = "http://127.0.0.1:8000"
STARS = Table(
    schema="tycho2", name="stars", description="", columns=(), id_column="tyc", ra_column="ra", dec_column="dec",
    row_count=2_539_913,
)  # fmt: skip
TYCHO2 = Release(
    id="tycho2", title="Tycho-2", description="The brightest stars.", kind=ReleaseKind.CATALOGUE, date=date(2000, 2, 8),
    audience=Audience.WORLD, simulated=False, source="tycho2 2-4", licence="BSD-2-Clause",
    doi="10.1051/0004-6361:20000356", credit="Høg & others <ESA>", tables=(STARS,),
)  # fmt: skip
SURVEY = Release(
    id="sim", title="A survey", description="Imagined.", kind=ReleaseKind.DATA_RELEASE, date=date(2026, 1, 1),
    audience=Audience.HOLDERS, simulated=True, source="a model", licence="CC0",
    tables=(Table(schema="sim", name="object", description="", columns=(), id_column="id", ra_column="ra",
                  dec_column="dec", row_count=10**9),),
)  # fmt: skip


def page(
    *releases: Release, principal: Principal = ANONYMOUS, base_url: str = BASE_URL, has_handbook: bool = False
) -> str:
    """The page for these releases."""
    folder = Path(pachon.app.pages.__file__).parent
    loader = jinja2.FileSystemLoader(folder)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.get_template("front.html")
    return template.render(
        settings=Settings(),
        releases=releases,
        principal=principal,
        version="1.2.3",
        base_url=base_url,
        has_handbook=has_handbook,
    )


def test_a_release_is_shown_with_rows_source_licence_doi_and_credit() -> None:
    shown = page(TYCHO2)
    for text in (
        "Tycho-2",
        "2,539,913 rows",
        "tycho2 2-4",
        "BSD-2-Clause",
        "https://doi.org/10.1051/0004-6361:20000356",
    ):
        assert text in shown
    assert "Høg &amp; others &lt;ESA&gt;" in shown
    assert "badge-simulated" not in shown


def test_simulated_data_say_so_and_never_serve_as_the_example() -> None:
    shown = page(TYCHO2, SURVEY)
    assert shown.count(">Simulated</span>") == 1
    assert "FROM tycho2.stars" in shown
    assert "FROM sim.object" not in page(SURVEY)


def test_default_catalogues_that_are_not_loaded_are_named() -> None:
    assert re.search(r"Not loaded:.*Hipparcos, OpenNGC", page(TYCHO2), flags=re.DOTALL)
    assert "No release is loaded yet" in page()


def test_an_anonymous_visitor_can_log_in_and_a_known_one_is_named() -> None:
    assert "/api/login?next=/" in page(TYCHO2)
    known = page(TYCHO2, principal=Principal(name="novice"))
    assert '<strong id="person-name">novice</strong>' in known
    assert "/api/login" not in known


def test_addresses_to_paste_are_the_public_ones_and_links_keep_their_prefix() -> None:
    shown = page(TYCHO2, base_url="https://sky.example.org/survey")
    assert "https://sky.example.org/survey/api/scs/tycho2.stars" in shown
    local = [link for link in re.findall(r'(?:href|src)="(/[^"]*)"', shown) if not link.startswith("/survey/")]
    assert local == []


def test_the_door_to_documentation_leads_to_the_handbook_where_it_is_built() -> None:
    assert 'href="/survey/docs/"' in page(base_url="https://sky.example.org/survey", has_handbook=True)
    without = page()
    assert "/docs/" not in without.replace("/api/docs", "")
    assert "The handbook is not built here" in without


class _Site(http.server.SimpleHTTPRequestHandler):
    """The page of an anonymous visitor, the brand, and an API that knows the visitor and what they may see."""

    def do_GET(self) -> None:
        if self.path == "/api/front":
            self.send_response(200)
            self.send_header("X-VO-Authenticated", "novice")
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page(TYCHO2, SURVEY, principal=Principal(name="novice")).encode())
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text(page(TYCHO2), encoding="utf-8")
    (tmp_path / "api" / "brand").mkdir(parents=True)
    for name in brand.FILES:
        shutil.copy(brand.path(name), tmp_path / "api" / "brand" / name)
    handler = functools.partial(_Site, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_the_page_fits_is_clean_and_shows_who_is_logged_in_and_what_they_may_see(
    site: str, width: int, scheme: str
) -> None:
    with chromium() as browser, visiting(browser, width=width, colour_scheme=scheme) as visit:
        visit.page.goto(site)
        visit.page.get_by_text("novice", exact=True).first.wait_for()
        visit.page.get_by_role("heading", name="A survey").wait_for()
        assert visit.page.locator("#tools .copy").count() == visit.page.locator("#tools .copy-button").count() > 0
        assert visit.page.locator("#login").count() == 0
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.textContent") == "Skip to content"
        visit.picture(f"front-{width}-{scheme}", full_page=True)
        visit.assert_clean()
