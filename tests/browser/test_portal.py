"""The Portal in a real browser, in front of a whole platform that serves a synthetic sky."""

from __future__ import annotations

import re
import signal
import time
from os import kill
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import pytest
from playwright.sync_api import Browser, expect

from support.browser import Visit, count_colours, visiting
from support.stack import Platform

pytestmark = [pytest.mark.browser, pytest.mark.stack]

SLOW = """SELECT COUNT(*) AS n FROM (SELECT TOP 5000 ra, dec FROM sky.stars) AS a, sky.stars AS b
WHERE DISTANCE(a.ra, a.dec, b.dec, b.ra) > 179.9"""

_PLOTTED = "() => window.Bokeh.documents[0].get_model_by_name('cmd').x_range.end !== 1"


def log_in(visit: Visit, platform: Platform, name: str = "novice") -> None:
    visit.page.goto(f"{platform.base_url}/hub/login?next=%2Fhub%2Fhome")
    visit.page.locator("input[name=username]").fill(name)
    visit.page.locator("input[name=password]").fill(platform.accounts[name])
    visit.page.locator("input[type=submit], button[type=submit]").first.click()
    visit.page.wait_for_url(re.compile(r"/hub/(home|spawn)"))


def open_portal(visit: Visit, platform: Platform) -> None:
    visit.page.goto(f"{platform.base_url}/portal/")
    visit.page.get_by_text(re.compile("objects in view$")).wait_for()
    visit.settled("#sky-map")


def fill(visit: Visit, *, ra: str = "0", dec: str = "10", radius: str = "40") -> None:
    for label, text in (("RA [deg]", ra), ("Dec [deg]", dec), ("Radius [deg]", radius)):
        visit.page.get_by_label(label).fill(text)


def search(visit: Visit, **place: str) -> None:
    fill(visit, **place)
    visit.page.locator(".search-cone button").click()
    visit.page.locator(".to-results").wait_for()
    visit.page.get_by_text(re.compile("^Rows 1 to ")).wait_for()
    visit.page.wait_for_function(_PLOTTED)


def write_adql(visit: Visit, adql: str) -> None:
    visit.page.get_by_text("ADQL", exact=True).click()
    visit.page.locator(".ace_content").click()
    visit.page.keyboard.press("Control+A")
    visit.page.keyboard.type(adql)
    visit.page.locator(".run-adql button").click()


def drag_in_plot(visit: Visit) -> None:
    plot = visit.page.locator(".bk-Figure").nth(1)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    visit.page.mouse.move(box["x"] + 0.35 * box["width"], box["y"] + 0.35 * box["height"])
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"], steps=6)
    visit.page.mouse.up()


def runs(platform: Platform, name: str = "novice") -> list[dict[str, str]]:
    with platform.person(name) as client:
        client.get("/api/login?next=%2Fapi%2Fstatus")
        return client.get("/api/queries/executions").json()["executions"]


def test_a_novice_looks_at_the_sky_asks_it_and_selects_among_the_answers(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        whole = visit.settled("#sky-map")
        assert count_colours(whole) > 60
        assert visit.page.get_by_text("SIMULATED").first.is_visible()
        assert visit.page.title() == "Portal · Pachon"
        visit.picture("portal-map")

        frame = visit.page.locator("#sky-map").bounding_box()
        visit.page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
        visit.page.mouse.wheel(0, -400)
        zoomed = visit.settled("#sky-map", other_than=whole)
        assert (zoomed != whole).any(axis=2).mean() > 0.2
        assert "RA" in visit.page.locator("#map-cursor").inner_text()

        search(visit)
        visit.settled(".results-plots")
        visit.picture("portal-results-1280-light", full_page=True)
        drag_in_plot(visit)
        count = visit.page.locator(".selection-count").filter(has_text="rows selected")
        count.wait_for()
        chosen, total = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", count.inner_text())[:2])
        assert 0 < chosen < total
        visit.picture("portal-selection", full_page=True)
        visit.page.locator(".clear-selection button").click()
        count.wait_for(state="detached")
        visit.assert_clean()


def test_after_the_map_was_moved_enter_searches_and_the_keyboard_leads_to_the_results(
    platform: Platform, browser: Browser
) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        for key in ("+", "ArrowLeft", "+", "ArrowUp"):
            visit.page.locator("#sky-map").press(key)
        fill(visit, radius="3")
        visit.page.get_by_label("Radius [deg]").press("Enter")
        link = visit.page.locator(".to-results")
        link.wait_for()
        assert visit.page.get_by_label("Radius [deg]").input_value() == "3"
        assert "The first 10,000 rows in" in " ".join(visit.page.locator(".found").inner_text().split())
        link.focus()
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_function("document.activeElement.id === 'results'")
        assert visit.page.locator(".results-head").bounding_box()["y"] < 200
        visit.page.get_by_text("3° around RA 0°, Dec +10° in sky.stars").first.wait_for()
        visit.assert_clean()


def test_a_result_is_downloaded_as_it_is_without_being_asked_again_and_by_its_owner_only(
    platform: Platform, browser: Browser
) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        search(visit, radius="0.3")
        rows = int(re.search(r"([\d,]+) row", visit.page.locator(".found").inner_text())[1].replace(",", ""))
        before = len(runs(platform))
        for title, ending in (("CSV", "csv"), ("VOTable", "vot"), ("Parquet", "parquet")):
            with visit.page.expect_download() as started:
                visit.page.get_by_text(f"Download {title}").click()
            assert started.value.suggested_filename == f"result.{ending}"
            content = Path(started.value.path()).read_bytes()
            assert content
            if ending == "csv":
                assert len(content.splitlines()) == rows + 1
        assert len(runs(platform)) == before
        address = visit.page.get_by_text("Download CSV").get_attribute("href")
        with platform.person("astronomer") as other:
            other.get("/portal/")
            assert other.get(address).status_code == 404
        visit.assert_clean()


def test_a_query_that_is_cancelled_lets_its_connection_go_at_once_and_the_next_one_is_answered(
    platform: Platform, browser: Browser
) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        write_adql(visit, SLOW)
        visit.page.get_by_text(re.compile(r"^\s*[1-9]\.\d s")).wait_for()
        during = connections_to_the_api(platform)
        visit.page.locator(".cancel-run button").locator("visible=true").click()
        visit.page.get_by_text("The query was given up.").wait_for()
        deadline = time.monotonic() + 5
        while connections_to_the_api(platform) >= during:
            assert time.monotonic() < deadline, "the Portal still waits for the answer"
        visit.page.get_by_text("Around a position").click()
        search(visit, radius="1")
        visit.assert_clean()


def connections_to_the_api(platform: Platform) -> int:
    """Connections that the Portal holds open to the Web APIs."""
    port = int(platform.environment["PACHON_LISTEN__API_PORT"])
    held = psutil.Process(platform.pids["portal"]).net_connections("tcp")
    return sum(c.status == psutil.CONN_ESTABLISHED and c.raddr.port == port for c in held)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light"), (390, "dark")])
def test_the_page_fits_and_has_its_colours(
    platform: Platform, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    with visiting(browser, width=width, height=900, colour_scheme=scheme) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        search(visit)
        visit.settled(".results-plots")
        visit.picture(f"portal-results-{width}-{scheme}", full_page=True)
        wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        background = visit.pixels(".results-head").reshape(-1, 3)[0]
        assert (background.mean() < 60) == (scheme == "dark")
        assert contrast_of_arrow(visit) > 60
        visit.assert_clean()


def contrast_of_arrow(visit: Visit) -> int:
    """How far the brightness of a selector's arrow lies from that of its ground."""
    box = visit.pixels(visit.page.get_by_label("Catalogue")).mean(axis=2)
    middle = box[box.shape[0] // 3 : -box.shape[0] // 3, -30:-8]
    return int(np.ptp(middle))


def test_a_wrong_query_is_explained_with_its_place(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        write_adql(visit, "SELECT g_magg FROM sky.stars")
        message = visit.page.locator(".banner-error")
        message.wait_for()
        assert re.search(r"line 1, column 8", message.inner_text())
        assert "g_mag" in message.inner_text()
        visit.assert_clean()


def test_who_has_logged_in_at_the_hub_only_is_known_on_the_front_page(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        assert "/api/" not in {cookie["path"] for cookie in visit.page.context.cookies()}
        visit.page.goto(f"{platform.base_url}/")
        person = visit.page.locator("#person")
        person.wait_for()
        assert person.locator("#person-name").inner_text() == "novice"
        assert visit.page.locator("#login").count() == 0
        visit.assert_clean()


def test_a_visitor_is_kept_out_and_told_what_is_open(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform, "visitor")
        answer = visit.page.goto(f"{platform.base_url}/portal/")
        assert answer.status == 403
        assert "data rights holders" in visit.page.inner_text("body")


@pytest.mark.parametrize("process", ["api", "hub"])
def test_a_page_outlives_the_platform_and_works_again_when_that_is_back(
    platform: Platform, browser: Browser, process: str
) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        search(visit, radius="0.3")  # from here on the Web APIs know the person for some seconds, without the hub
        first = visit.page.locator(".found strong").inner_text()
        pid = platform.pids[process]
        kill(pid, signal.SIGKILL)
        fill(visit, radius="0.2")
        visit.page.locator(".search-cone button").click()
        if process == "api":
            told = visit.page.locator(".ask-status .banner-error")
            told.wait_for()
            assert "not answering at the moment" in told.inner_text()
        else:
            expect(visit.page.locator(".found strong")).not_to_have_text(first)
        before = first if process == "api" else visit.page.locator(".found strong").inner_text()
        platform.wait_until_ready()
        assert platform.pids[process] != pid
        fill(visit, radius="0.1")
        visit.page.locator(".search-cone button").click()
        expect(visit.page.locator(".found strong")).not_to_have_text(before)
        visit.page.get_by_text(re.compile("objects in view$")).wait_for()
        visit.assert_clean()


def test_rows_are_selected_sorted_and_paged_with_the_keyboard_alone(platform: Platform, browser: Browser) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        search(visit, radius="0.3")
        field = visit.page.get_by_label("g_mag from").last
        field.focus()
        visit.page.keyboard.type("20")
        visit.page.keyboard.press("Enter")
        count = visit.page.locator(".selection-count").filter(has_text="rows selected")
        count.wait_for()
        chosen, total = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", count.inner_text())[:2])
        assert 15 < chosen < total
        visit.page.get_by_text(f"Rows 1 to 15 of {chosen:,}").wait_for()
        visit.page.get_by_label("Sort by").select_option("g_mag")
        following = visit.page.get_by_role("button", name="Next")
        following.focus()
        visit.page.keyboard.press("Enter")
        visit.page.get_by_text(f"Rows 16 to 30 of {chosen:,}").wait_for()
        visit.settled(".results-table")
        shown = [
            float(text) for text in visit.page.locator('.tabulator-cell[tabulator-field="g_mag"]').all_inner_texts()
        ]
        assert len(shown) == 15
        assert shown == sorted(shown)
        assert shown[0] >= 20
        visit.picture("portal-rows", full_page=True)
        visit.assert_clean()
