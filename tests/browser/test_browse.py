"""Browsing rows in a real JupyterLab: by mouse and by keyboard, against real Web APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from pachon_client import Client
from support.app import HOLDER, Site, running_site
from support.browser import Visit, chromium, count_colours, visiting
from support.lab_server import TOKEN, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]

STARS = "SELECT id, ra, dec, g_mag, r_mag FROM sky.stars WHERE dec > 85"
START_TIMEOUT_MS = 120_000


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
def visit() -> Iterator[Visit]:
    with chromium() as browser, visiting(browser, width=1400, height=1100, timeout_s=20) as made:
        yield made


def opened(visit: Visit, lab: str, home: Path, *cells: str) -> Page:
    """A notebook of some cells, open in front, with its kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, home / "browse.ipynb")
    visit.page.goto(f"{lab}/doc/tree/browse.ipynb?token={TOKEN}&reset")
    expect(visit.page.locator(".jp-CodeCell").first).to_be_visible(timeout=START_TIMEOUT_MS)
    expect(visit.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=START_TIMEOUT_MS)
    return visit.page


def told(page: Page, number: int) -> Any:
    """The JSON that a cell printed."""
    output = page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output pre")
    expect(output.first).to_be_visible(timeout=START_TIMEOUT_MS)
    return json.loads(output.first.inner_text())


def drag(page: Page, canvas: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place to another, as parts of width and height."""
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    assert area is not None
    x, y, width, height = (area[name] for name in ("x", "y", "width", "height"))
    page.mouse.move(x + start[0] * width, y + start[1] * height)
    page.mouse.down()
    page.mouse.move(x + end[0] * width, y + end[1] * height, steps=6)
    page.mouse.up()


SAY = "import json; print(json.dumps([b.selection['id'].tolist(), b.adql]))"
WAIT_MS = 30_000


def selected(page: Page, number: int) -> list[int]:
    """What Python sees by the cell of that number: rows, which are those that the widget counts."""
    page.locator(".jp-CodeCell").nth(number).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    ids, condition = told(page, number)
    assert bool(ids) == bool(condition)
    expect(page.locator(".pachon-status")).to_have_text(re.compile(rf"\b{len(ids):,} selected$"))
    return list(ids)


def test_boxes_drawn_on_map_and_plot_and_rows_chosen_by_keyboard_are_the_rows_that_python_and_the_platform_see(
    lab: str, home: Path, site: Site, visit: Visit
) -> None:
    with Client(f"{site.url}/api", HOLDER) as client:
        query = client.ask(STARS, "around the pole").wait(60, on_change=lambda _: None)
        show = f"import pachon_client as pachon\nb = pachon.browse(pachon.open('{query.id}'))\nb"
        page = opened(visit, lab, home, show, SAY, SAY, SAY, "print(b.save().version)")
        page.locator(".jp-CodeCell").first.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        sky, plot, status = (
            page.locator(f".pachon-browse {part}")
            for part in (".pachon-sky canvas", ".pachon-plot canvas >> nth=1", ".pachon-status")
        )
        expect(page.locator(".pachon-sky [role=status]")).to_contain_text("in sight", timeout=START_TIMEOUT_MS)
        assert count_colours(visit.pixels(sky)) > 5
        visit.picture("lab-browse")
        drag(page, sky, (0.3, 0.3), (0.6, 0.6))
        expect(status).not_to_contain_text(", 0 selected", timeout=WAIT_MS)
        on_sky = selected(page, 1)
        assert 0 < len(on_sky) < len(query.result())
        page.get_by_label("What a new shape does").select_option("narrow")
        drag(page, plot, (0.3, 0.2), (0.9, 0.9))
        expect(status).not_to_contain_text(f"{len(on_sky):,} selected", timeout=WAIT_MS)
        narrowed = selected(page, 2)
        assert 0 < len(narrowed) < len(on_sky)
        assert set(narrowed) < set(on_sky)
        visit.picture("lab-browse-selected")
        page.get_by_label("Only selected rows").check()
        row = page.get_by_role("checkbox", name=re.compile("^Select row")).first
        row.focus()
        page.keyboard.press("Space")
        expect(status).to_contain_text(f"{len(narrowed) - 1:,} selected", timeout=WAIT_MS)
        final = selected(page, 3)
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".jp-CodeCell").nth(4).locator("pre", has_text="2")).to_be_visible(timeout=WAIT_MS)
        condition = client.open(query.id).view.selection["condition"]
        seen = client.query(f"SELECT id FROM sky.stars WHERE dec > 85 AND ({condition})")
        assert sorted(seen["id"].tolist()) == sorted(final)
        visit.assert_clean()
