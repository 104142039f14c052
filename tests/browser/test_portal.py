"""The Portal in a real browser, in front of a whole platform that serves a synthetic sky."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser

from support.browser import Visit, chromium, count_colours, visiting
from support.skies import make_release
from support.stack import Platform, running_platform

pytestmark = [pytest.mark.browser, pytest.mark.stack]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("portal")
    make_release(folder / "releases", rows=60_000)
    with running_platform(folder / "home", folder / "releases") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def log_in(visit: Visit, platform: Platform, name: str = "novice") -> None:
    visit.page.goto(f"{platform.base_url}/hub/login?next=%2Fhub%2Fhome")
    visit.page.locator("input[name=username]").fill(name)
    visit.page.locator("input[name=password]").fill(platform.accounts[name])
    visit.page.locator("input[type=submit], button[type=submit]").first.click()
    visit.page.wait_for_url(re.compile(r"/hub/(home|spawn)"))


def open_portal(visit: Visit, platform: Platform) -> None:
    visit.page.goto(f"{platform.base_url}/portal/")
    visit.page.get_by_text(re.compile("objects in view$")).wait_for()
    visit.page.wait_for_timeout(1000)


def sky(visit: Visit) -> np.ndarray:
    return visit.pixels("#sky-map")


def search(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Map centre").click()
    visit.page.get_by_label("Radius [deg]").fill("40")
    visit.page.get_by_label("Radius [deg]").press("Tab")
    visit.page.locator(".search-cone button").click()
    visit.page.get_by_text(re.compile(r"^\s*in [\d.]+ s")).wait_for()
    visit.page.wait_for_timeout(1500)


def drag_in_plot(visit: Visit) -> None:
    plot = visit.page.locator(".bk-Figure").nth(1)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    visit.page.mouse.move(box["x"] + 0.35 * box["width"], box["y"] + 0.35 * box["height"])
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"], steps=6)
    visit.page.mouse.up()


def test_a_novice_looks_at_the_sky_asks_it_and_selects_among_the_answers(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        whole = sky(visit)
        assert count_colours(whole) > 60
        assert visit.page.get_by_text("SIMULATED").first.is_visible()
        visit.picture("portal-map")

        frame = visit.page.locator("#sky-map").bounding_box()
        visit.page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
        visit.page.mouse.wheel(0, -400)
        visit.page.wait_for_timeout(2000)
        zoomed = sky(visit)
        assert (zoomed != whole).any(axis=2).mean() > 0.2
        assert "RA" in visit.page.locator("#map-cursor").inner_text()
        visit.page.locator("#sky-map").press("0")
        visit.page.wait_for_timeout(1500)

        search(visit)
        visit.picture("portal-results-1280-light", full_page=True)
        drag_in_plot(visit)
        count = visit.page.locator(".selection-count").filter(has_text="selected")
        count.wait_for()
        chosen, total = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", count.inner_text())[:2])
        assert 0 < chosen < total
        visit.page.wait_for_timeout(1000)
        visit.picture("portal-selection", full_page=True)
        visit.page.locator(".clear-selection button").click()
        count.wait_for(state="detached")
        visit.assert_clean()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light"), (390, "dark")])
def test_the_page_fits_and_has_its_colours(
    platform: Platform, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    with visiting(browser, width=width, height=900, colour_scheme=scheme) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        search(visit)
        visit.picture(f"portal-results-{width}-{scheme}", full_page=True)
        wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        background = visit.pixels(".results-head").reshape(-1, 3)[0]
        assert (background.mean() < 60) == (scheme == "dark")
        visit.assert_clean()


def test_a_wrong_query_is_explained_with_its_place(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        visit.page.get_by_text("ADQL", exact=True).click()
        visit.page.locator(".ace_content").click()
        visit.page.keyboard.press("Control+A")
        visit.page.keyboard.type("SELECT g_magg FROM sky.stars")
        visit.page.locator(".run-adql button").click()
        message = visit.page.locator(".banner-error")
        message.wait_for()
        assert re.search(r"line 1, column 8", message.inner_text())
        assert "g_mag" in message.inner_text()
        visit.assert_clean()


def test_a_visitor_is_kept_out_and_told_what_is_open(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform, "visitor")
        answer = visit.page.goto(f"{platform.base_url}/portal/")
        assert answer.status == 403
        assert "data rights holders" in visit.page.inner_text("body")
