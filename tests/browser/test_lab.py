"""JupyterLab as people meet it: in a browser, behind the hub, with every other host out of reach."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from support.browser import Visit, chromium, count_colours, visiting
from support.labs import hub_client
from support.stack import Platform

pytestmark = [pytest.mark.stack, pytest.mark.catalogues, pytest.mark.browser, pytest.mark.timeout(420)]

ROOT = Path(__file__).resolve().parents[2]
PERSON = "novice"
SPAWN_TIMEOUT_MS = 120_000
RUN_TIMEOUT_S = 180
AT_HAND = ".jp-NotebookPanel:not(.lm-mod-hidden)"
"""The notebook in front: others may have been opened again with the workspace."""
DOORS = ["Tutorials", "Open Portal", "Web APIs", "Documentation", "Queries", "Send Cell to Portal"]


@pytest.fixture(scope="module")
def platform(real_platform: Platform) -> Platform:
    return real_platform


@pytest.fixture
def visit() -> Iterator[Visit]:
    with chromium() as browser, visiting(browser, width=1400, height=1000) as made:
        yield made


def test_first_light_runs_in_the_lab_with_every_figure_painted_and_no_other_host_asked(
    platform: Platform, visit: Visit
) -> None:
    page = visit.page
    log_in_and_spawn(page, platform.base_url, platform.accounts[PERSON])
    try:
        see_the_doors(visit, platform.base_url)
        open_first_tutorial(page)
        run_all_cells(page)
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        see_the_figures(visit)
        select_stars_in_one_plot_and_see_them_in_the_other(visit)
        visit.assert_clean()
    finally:
        stop_server(page, platform.base_url)


def test_a_link_to_a_query_starts_the_lab_and_opens_its_notebook(platform: Platform, visit: Visit) -> None:
    adql = "SELECT TOP 100 hip, ra, dec FROM hipparcos.stars ORDER BY hp_mag"
    with hub_client(platform, PERSON) as client:
        given = {"adql": adql, "name": "brightest stars", "run": True}
        query = client.post("/api/queries", json=given).raise_for_status().json()
    page = visit.page
    link = urlsplit(query["links"]["lab"])
    log_in_and_spawn(page, platform.base_url, platform.accounts[PERSON], then=f"{link.path}?{link.query}")
    try:
        expect(page.locator(".jp-Notebook h1", has_text="brightest stars")).to_be_visible(timeout=SPAWN_TIMEOUT_MS)
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
        run_all_cells(page)
        expect(page.locator(f"{AT_HAND} .jp-RenderedImage img")).to_have_count(1)
        expect(page.locator(f"{AT_HAND} .jp-RenderedHTMLCommon", has_text="100 rows x 3 columns")).to_be_visible()
        visit.picture("lab-linked")
        visit.assert_clean()
    finally:
        stop_server(page, platform.base_url)


def log_in_and_spawn(page: Page, base_url: str, password: str, *, then: str = "/hub/spawn") -> None:
    page.goto(f"{base_url}/hub/login?next={quote(then, safe='')}")
    page.locator("input[name=username]").fill(PERSON)
    page.locator("input[name=password]").fill(password)
    page.locator("input[type=submit], button[type=submit]").first.click()
    page.wait_for_url(re.compile(rf"/user/{PERSON}/lab"), timeout=SPAWN_TIMEOUT_MS)


def see_the_doors(visit: Visit, base_url: str) -> None:
    """The menu and the launcher have our doors, and the Portal's leads to the Portal."""
    page = visit.page
    expect(page.locator(".jp-LauncherCard", has_text="Open Portal")).to_be_visible(timeout=SPAWN_TIMEOUT_MS)
    open_menu(page)
    assert page.locator(".lm-Menu-item[data-type=command] .lm-Menu-itemLabel").all_inner_texts() == DOORS
    visit.picture("lab-menu")
    with page.context.expect_page() as opened:
        choose(page, "Open Portal")
    opened.value.wait_for_url(f"{base_url}/portal/**")
    opened.value.wait_for_load_state("load")
    opened.value.close()


def open_first_tutorial(page: Page) -> None:
    open_menu(page)
    choose(page, "Tutorials")
    expect(page.locator(".jp-Notebook h1", has_text="First light")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)


def run_all_cells(page: Page) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    choose(page, "Run All Cells")
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while not all(re.fullmatch(r"\[\d+\]:", prompt) for prompt in prompts(page)):
        faults = page.locator("[data-mime-type='application/vnd.jupyter.error']")
        assert faults.count() == 0, faults.first.text_content()
        assert time.monotonic() < deadline, prompts(page)
        page.wait_for_timeout(500)


def prompts(page: Page) -> list[str]:
    """What stands beside each code cell: `[ ]:`, `[*]:`, or `[3]:` once it ran."""
    return page.locator(f"{AT_HAND} .jp-CodeCell .jp-InputPrompt").all_text_contents()


def see_the_figures(visit: Visit) -> None:
    """Two pictures of matplotlib and two canvases of Bokeh show stars."""
    images = visit.page.locator(".jp-RenderedImage img")
    expect(images).to_have_count(2)
    for number, name in enumerate(("sky", "pleiades")):
        images.nth(number).scroll_into_view_if_needed()
        assert count_colours(visit.pixels(images.nth(number))) > 100
        visit.picture(f"lab-{name}")
    for plot in plots(visit.page):
        plot.scroll_into_view_if_needed()
        assert count_colours(visit.pixels(plot)) > 100
    visit.picture("lab-diagram")


def select_stars_in_one_plot_and_see_them_in_the_other(visit: Visit) -> None:
    diagram, sky = plots(visit.page)
    before = visit.pixels(sky)
    area = diagram.bounding_box()
    assert area is not None
    x, y, width, height = (area[name] for name in ("x", "y", "width", "height"))
    mouse = visit.page.mouse
    mouse.move(x + 0.15 * width, y + 0.60 * height)
    mouse.down()
    mouse.move(x + 0.40 * width, y + 0.88 * height, steps=8)
    mouse.up()
    mouse.move(x + 0.5 * width, y - 5)
    after = visit.settled(sky, other_than=before)
    visit.picture("lab-selected")
    changed = np.any(before != after, axis=-1).mean()
    assert changed > 0.02, f"a selection changed {changed:.1%} of the other plot"


def plots(page: Page) -> tuple[Locator, Locator]:
    canvases = page.locator(".bk-Canvas")
    expect(canvases).to_have_count(2)
    return canvases.nth(0), canvases.nth(1)


def open_menu(page: Page) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Pachon$")).click()


def choose(page: Page, label: str) -> None:
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{label}$")).click()


def stop_server(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/hub/home", wait_until="networkidle")
    page.locator("#stop").click()
    expect(page.locator("#stop")).to_be_hidden(timeout=60_000)
