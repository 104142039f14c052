"""Saved queries in the Portal, in a real browser: what was done with a result comes back by its link."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from browser.test_portal import drag_in_plot, log_in, open_portal, search
from pachon_client import Client
from support.browser import Visit, visiting
from support.labs import hub_client
from support.stack import Platform
from support.stilts import logged_in, needs_newer_stilts

pytestmark = [pytest.mark.browser, pytest.mark.stack]

_SIGHT = """() => { const get = (name) => window.Bokeh.documents[0].get_model_by_name(name);
const both = (range) => [range.start, range.end];
const ranges = (name) => [...both(get(name).x_range), ...both(get(name).y_range)];
return {sky: ranges('sky'), plot: ranges('cmd')}; }"""


def sight(visit: Visit) -> dict[str, list[float]]:
    return visit.page.evaluate(_SIGHT)


def selected(visit: Visit) -> str:
    count = visit.page.locator(".selection-count").filter(has_text="rows selected")
    count.wait_for()
    return count.inner_text()


def save(visit: Visit, name: str) -> str:
    visit.page.get_by_label("Name", exact=True).fill(name)
    visit.page.get_by_label("Tags", exact=True).fill("north, test")
    visit.page.locator(".save-query button").click()
    link = visit.page.get_by_role("link", name="Its link")
    link.wait_for()
    address = link.get_attribute("href")
    assert address is not None
    return address


def test_a_query_its_selection_and_what_was_in_sight_come_back_by_a_link_and_are_listed(
    platform: Platform, browser: Browser
) -> None:
    with visiting(browser) as visit:
        log_in(visit, platform)
        open_portal(visit, platform)
        search(visit, radius="10")
        drag_in_plot(visit)
        chosen = selected(visit)
        visit.page.locator("#sky-map").press("+")
        visit.settled("#sky-map")
        before = sight(visit)
        address = save(visit, "north <stars>")
        visit.page.locator(".saved").scroll_into_view_if_needed()
        visit.picture("portal-query-saved", full_page=True)

        visit.page.goto(address)
        assert selected(visit) == chosen
        visit.settled("#sky-map")
        after = sight(visit)
        assert after["plot"] == pytest.approx(before["plot"])
        middles = [[sum(seen["sky"][:2]), sum(seen["sky"][2:])] for seen in (before, after)]
        assert middles[1] == pytest.approx(middles[0], abs=1e-6)
        assert after["sky"][1] - after["sky"][0] == pytest.approx(before["sky"][1] - before["sky"][0], rel=1e-3)
        expect(visit.page.get_by_label("Name", exact=True)).to_have_value("north <stars>")

        visit.page.goto(f"{platform.base_url}/portal/queries")
        visit.page.get_by_label("Words").fill("nor")
        visit.page.get_by_label("Words").press("Enter")
        expect(visit.page.get_by_role("link", name="north <stars>")).to_have_attribute(
            "href", re.compile(r"/portal/\?q=[0-9a-z]{26}$")
        )
        visit.assert_clean()


def test_another_person_opens_what_is_shared_with_them_and_a_visitor_is_sent_to_the_login(
    platform: Platform, browser: Browser
) -> None:
    shared, kept = (ask(platform, f"SELECT TOP {rows} * FROM sky.stars", f"{rows} stars") for rows in (50, 60))
    with visiting(browser) as visit:
        log_in(visit, platform)
        visit.page.goto(f"{platform.base_url}/portal/?q={shared}")
        visit.page.get_by_text("Share it").click()
        visit.page.get_by_label("With", exact=True).select_option("a person")
        visit.page.get_by_label("Name of the person or group").fill("astronomer")
        visit.page.locator(".share-query button").click()
        visit.page.get_by_text("astronomer: may read").wait_for()
        visit.page.get_by_label("With", exact=True).select_option("whoever has a link")
        visit.page.locator(".share-query button").click()
        link = visit.page.locator(".share-address").inner_text()
        visit.picture("portal-query-shared", full_page=True)
        visit.assert_clean()
    with visiting(browser, width=390, height=900, colour_scheme="dark") as visit:
        log_in(visit, platform, "astronomer")
        visit.page.goto(f"{platform.base_url}/portal/?q={shared}")
        visit.page.get_by_text("of novice").wait_for()
        visit.page.get_by_text("Rows 1 to 15 of 50").wait_for()
        expect(visit.page.locator(".save-query button")).to_have_text("Save a copy")
        visit.picture("portal-query-of-another-390-dark", full_page=True)
        assert visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        visit.page.goto(link)
        visit.page.get_by_text("Rows 1 to 15 of 50").wait_for()
        visit.page.goto(f"{platform.base_url}/portal/?q={kept}")
        visit.page.get_by_text(re.compile("There is no .*query")).wait_for()
        visit.assert_clean()
    with visiting(browser) as visit:
        visit.page.goto(link)
        visit.page.wait_for_url(re.compile("/hub/login"))
        assert "50 stars" not in visit.page.content()


def ask(platform: Platform, adql: str, name: str) -> str:
    """A query that novice saved; its id."""
    with hub_client(platform, "novice") as hub:
        token = hub.headers["Authorization"].removeprefix("token ")
    with Client(f"{platform.base_url}/api", token) as client:
        return client.ask(adql, name).wait().id


@needs_newer_stilts
def test_what_stilts_asks_comes_into_the_open_list_and_the_focus_stays_where_it_was(
    platform: Platform, browser: Browser
) -> None:
    name = "kept in sight"
    query_id = ask(platform, "SELECT TOP 7 id FROM sky.stars", name)
    with hub_client(platform, "novice") as hub, visiting(browser, width=390, height=900) as visit:
        log_in(visit, platform)
        visit.page.goto(f"{platform.base_url}/portal/queries")
        visit.page.get_by_role("link", name=name).focus()
        given = {"tapurl": f"{platform.base_url}/api/tap", "adql": "SELECT TOP 9 dec FROM sky.stars", "sync": "true"}
        command = [*logged_in(hub.headers["Authorization"].removeprefix("token ")), "tapquery"]
        command += [f"{name}={value}" for name, value in (given | {"auth": "true", "ofmt": "csv"}).items()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as stilts:
            visit.page.locator("#query-lists").get_by_text("STILTS").first.wait_for()
            seen_at = datetime.now(tz=UTC)
            stilts.communicate(timeout=60)
        runs = hub.get("/api/queries/executions").json()["executions"]
        ended_at = next(datetime.fromisoformat(run["ended_at"]) for run in runs if run["client"] == "STILTS")
        passed_s = (seen_at - ended_at).total_seconds()
        sys.stdout.write(f"a run of STILTS: shown after {passed_s:.2f} s\n")
        assert passed_s < 5
        expect(visit.page.get_by_role("link", name=name)).to_be_focused()
        visit.picture("portal-queries-live-390", full_page=True)
        assert visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        hub.delete(f"/api/queries/{query_id}").raise_for_status()
        expect(visit.page.get_by_role("link", name=name)).to_have_count(0)
        visit.assert_clean()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_list_fits_and_says_what_to_do_where_nothing_is_saved(
    platform: Platform, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    with visiting(browser, width=width, height=800, colour_scheme=scheme) as visit:
        log_in(visit, platform)
        visit.page.goto(f"{platform.base_url}/portal/queries?text=nothinghasthisword")
        visit.page.get_by_text("Nothing is found").wait_for()
        visit.page.get_by_role("link", name="Show all").click()
        visit.page.get_by_role("heading", name="Saved queries").wait_for()
        visit.picture(f"portal-queries-{width}-{scheme}", full_page=True)
        assert visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        visit.assert_clean()
