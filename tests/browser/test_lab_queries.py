"""The panel of queries in a real JupyterLab, over real Web APIs, by mouse and keyboard."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from pachon_client import Client, Query
from support.app import HOLDER, Site, running_site
from support.browser import Visit, chromium, visiting
from support.lab_server import TOKEN, running_lab
from support.skies import FIRST_ID

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

STARS = f"SELECT id, ra, dec, r_mag FROM sky.stars WHERE id < {FIRST_ID + 2000}"
LONG = "SELECT COUNT(*) AS n FROM sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.dec, b.ra) > 179.9"
START_TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(site: Site, home: Path) -> Iterator[str]:
    with running_lab(home, {"PACHON_API_URL": f"{site.url}/api", "JUPYTERHUB_API_TOKEN": HOLDER}) as address:
        yield address


@pytest.fixture
def novice(site: Site) -> Iterator[Client]:
    with Client(f"{site.url}/api", HOLDER) as client:
        yield client


@pytest.fixture
def visit() -> Iterator[Visit]:
    with chromium() as browser, visiting(browser, width=1400, height=1000, timeout_s=20) as made:
        yield made


def open_lab(visit: Visit, lab: str) -> Page:
    """A lab as it is when it starts for the first time; its launcher takes the focus when it comes."""
    visit.page.goto(f"{lab}/lab?token={TOKEN}&reset")
    expect(visit.page.locator(".jp-LauncherCard", has_text="Open Portal")).to_be_visible(timeout=START_TIMEOUT_MS)
    return visit.page


def show_panel(page: Page) -> Locator:
    choose(page, "Queries")
    panel = page.locator("#pachon-queries")
    expect(panel.get_by_role("searchbox", name="Search queries")).to_be_focused()
    return panel


def choose(page: Page, label: str) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Pachon$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{label}$")).click()


def section(panel: Locator, title: str) -> Locator:
    return panel.get_by_role("region", name=title, exact=True)


def test_an_empty_panel_helps_and_a_new_query_is_there_within_a_second(lab: str, visit: Visit, novice: Client) -> None:
    page = open_lab(visit, lab)
    panel = show_panel(page)
    expect(panel).to_contain_text("No queries yet")
    visit.picture("lab-queries-empty")
    query = novice.ask(STARS, "bright and near")
    saved_at = time.monotonic()
    expect(section(panel, "Recent")).to_contain_text("bright and near", timeout=5_000)
    assert time.monotonic() - saved_at < 1
    expect(section(panel, "Recent")).to_contain_text("done · 2,000 rows", timeout=10_000)
    query.edit(name="bright, near and red")
    expect(section(panel, "Recent")).to_contain_text("bright, near and red", timeout=5_000)
    visit.assert_clean()


def test_a_query_is_found_and_opened_by_keyboard_and_its_notebook_runs(
    lab: str, home: Path, visit: Visit, novice: Client
) -> None:
    query = novice.ask(STARS, "dwarfs of the south").wait(30)
    novice.ask(STARS, "giants of the north").wait(30)
    page = open_lab(visit, lab)
    panel = show_panel(page)
    walk_by_keyboard(page, panel)
    page.keyboard.type("dwarfs")
    expect(panel.locator("li")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name="dwarfs of the south", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".jp-Notebook h1", has_text="dwarfs of the south")).to_be_visible(timeout=START_TIMEOUT_MS)
    assert list((home / "queries").glob(f"dwarfs-of-the-south-{query.id}.ipynb"))
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=START_TIMEOUT_MS)
    visit.picture("lab-queries-notebook")
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    expect(page.locator(".jp-RenderedImage img")).to_have_count(1, timeout=START_TIMEOUT_MS)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    expect(page.locator(".jp-RenderedHTMLCommon", has_text="2,000 rows x 4 columns")).to_be_visible()
    page.locator(".jp-RenderedImage img").scroll_into_view_if_needed()
    visit.picture("lab-queries-sky")
    complete_a_cell(page)
    visit.picture("lab-completion")
    visit.assert_clean()


def walk_by_keyboard(page: Page, panel: Locator) -> None:
    """From the field through the rows and back; the field is empty and has the focus before and after."""
    field = panel.get_by_role("searchbox", name="Search queries")
    names = ("giants of the north", "dwarfs of the south")
    first, second = (panel.get_by_role("button", name=name, exact=True).first for name in names)
    expect(second).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name=f"Menu of {names[0]}").first).to_be_focused()
    page.keyboard.press("Tab")
    expect(second).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(first).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_be_focused()
    page.keyboard.type("giants")
    expect(second).to_have_count(0)
    page.keyboard.press("Escape")
    expect(second).to_be_visible()
    expect(field).to_have_value("")


def complete_a_cell(page: Page) -> None:
    """A new cell of ADQL in which a column is completed, by its type, unit and description."""
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    notebook.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text("%%adql --release sky\nSELECT stars.de FROM stars")
    for _ in " FROM stars":
        page.keyboard.press("ArrowLeft")
    completer = page.locator(".jp-Completer")
    for _ in range(20):  # the first request answers before the platform has
        page.keyboard.press("Tab")
        if notebook.locator(".cm-content", has_text="SELECT stars.dec FROM stars").count():
            break
        page.wait_for_timeout(500)
    expect(notebook.locator(".cm-content", has_text="SELECT stars.dec FROM stars")).to_be_visible()
    for _ in "dec":
        page.keyboard.press("Backspace")
    page.keyboard.press("Tab")
    expect(completer).to_contain_text("stars.r_mag")
    expect(completer).to_contain_text("float [mag]")
    expect(completer).to_contain_text("Declination, ICRS")


def test_a_cell_goes_to_the_portal_and_changed_once_more_as_the_next_version(
    lab: str, site: Site, visit: Visit, novice: Client
) -> None:
    query = novice.ask(STARS, "to be changed").wait(30)
    page = visit.page
    page.goto(f"{lab}/lab?token={TOKEN}&query={query.id}")
    expect(page.locator(".jp-Notebook h1", has_text="to be changed")).to_be_visible(timeout=START_TIMEOUT_MS)
    page.wait_for_url(lambda address: "query=" not in address)
    cell = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .cm-content", has_text="SELECT id, ra")
    cell.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(f'adql = "{STARS} AND dec > 0"')
    assert sent(page) == f"{site.url}/portal/?q={query.id}"
    changed = query.refresh().wait(30)
    assert (changed.version, changed.adql) == (2, f"{STARS} AND dec > 0")
    page.keyboard.press("Escape")
    cell.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("no_query = 1")
    choose(page, "Send Cell to Portal")
    expect(page.locator(".jp-Dialog")).to_contain_text("There is no ADQL in this cell")
    page.keyboard.press("Enter")


def sent(page: Page) -> str:
    """Send the active cell; the address that opens."""
    with page.context.expect_page() as opened:
        choose(page, "Send Cell to Portal")
    opened.value.wait_for_url("**/portal/**", wait_until="commit")
    address = opened.value.url
    opened.value.close()
    return address


def test_a_link_asks_nothing_of_the_lab_but_the_notebook_of_a_query(lab: str, home: Path, visit: Visit) -> None:
    page, before = visit.page, set(home.iterdir())
    page.goto(f"{lab}/lab?token={TOKEN}&query={quote('../../api/contents?x=', safe='')}")
    told = page.get_by_role("dialog")
    expect(told).to_contain_text("“../../api/contents?x=” is not the id of a query", timeout=START_TIMEOUT_MS)
    assert set(home.iterdir()) == before


def test_what_runs_shows_its_progress_and_is_cancelled(lab: str, visit: Visit, novice: Client) -> None:
    page = open_lab(visit, lab)
    panel = show_panel(page)
    query = novice.ask(LONG, "takes for ever")
    row = section(panel, "Running").locator("li", has_text="takes for ever")
    expect(row.get_by_role("progressbar")).to_be_visible()
    expect(row).to_contain_text(re.compile(r"[1-9]\d* s"), timeout=10_000)
    visit.picture("lab-queries-running")
    row.get_by_role("button", name="Cancel").click()
    expect(section(panel, "Running")).to_have_count(0)
    assert query.wait(30).state == "ABORTED"
    expect(section(panel, "Recent").locator("li", has_text="takes for ever")).to_contain_text("cancelled")
    visit.assert_clean()


def test_the_menu_of_a_query_opens_the_portal_copies_it_for_others_and_shows_in_the_dark(
    lab: str, site: Site, visit: Visit, novice: Client
) -> None:
    query = novice.ask(STARS, "for other programs").wait(30)
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_lab(visit, lab)
    panel = show_panel(page)
    of_query(page, panel, query, "Copy for TOPCAT and STILTS")
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert f"TAP URL: {site.url}/api/tap" in copied
    assert f"adql='{STARS}'" in copied
    with page.context.expect_page() as opened:
        of_query(page, panel, query, "Open in Portal")
    opened.value.wait_for_url(f"{site.url}/portal/?q={query.id}", wait_until="commit")
    opened.value.close()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Settings$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).hover()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{theme}$")).click()
        expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        assert contrast(panel.locator(".pachon-open").first) > 7
        assert contrast(panel.locator("small").first) > 4.5
        visit.picture(f"lab-queries-{theme.rpartition(' ')[2].lower()}")
    page.set_viewport_size({"width": 420, "height": 800})
    assert panel.evaluate("node => node.scrollWidth <= node.clientWidth")
    visit.picture("lab-queries-narrow")


def of_query(page: Page, panel: Locator, query: Query, label: str) -> None:
    panel.get_by_role("button", name=f"Menu of {query.name}").first.click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{label}$")).click()


def contrast(text: Locator) -> float:
    """Contrast of a text with what is behind it (WCAG 2.2, section 1.4.3)."""
    found = text.evaluate(
        """node => {
          const numbers = value => (value.match(/[\\d.]+/g) ?? []).map(Number);
          let behind = node;
          const isClear = at => (numbers(getComputedStyle(at).backgroundColor)[3] ?? 1) < 1;
          while (isClear(behind)) behind = behind.parentElement;
          const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const seen = colours => {
            colours.forEach(colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); });
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          const ground = getComputedStyle(behind).backgroundColor;
          return JSON.stringify([seen([ground, getComputedStyle(node).color]), seen([ground])]);
        }"""
    )
    bright, dim = sorted(map(luminance, json.loads(found)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: list[int]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
