"""Browsing rows in a real JupyterLab: by mouse and by keyboard, against real Web APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from pachon_client import Client
from pachon_client.skyview.viewer import PROGRAM
from support.app import HOLDER, Site, running_site
from support.browser import ARTEFACTS, Visit, chromium, count_colours, visiting
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


WAIT_MS = 30_000


def say(name: str) -> str:
    """A cell that writes down which rows are selected, and the condition."""
    return f"import json\n_ = open('{name}.json', 'w').write(json.dumps([b.selection['id'].tolist(), b.adql]))"


def selected(page: Page, home: Path, number: int) -> list[int]:
    """What Python sees by the cell of that number: rows, which are those that the widget counts."""
    cell = page.locator(".jp-CodeCell").nth(number)
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=WAIT_MS)
    ids, condition = json.loads((home / f"{number}.json").read_text())
    assert bool(ids) == bool(condition)
    expect(page.locator(".pachon-status")).to_have_text(re.compile(rf"\b{len(ids):,} selected$"), timeout=WAIT_MS)
    return list(ids)


def test_boxes_drawn_on_map_and_plot_and_rows_chosen_by_keyboard_are_the_rows_that_python_and_the_platform_see(
    lab: str, home: Path, site: Site, visit: Visit
) -> None:
    with Client(f"{site.url}/api", HOLDER) as client:
        query = client.ask(STARS, "around the pole").wait(60, on_change=lambda _: None)
        show = f"import pachon_client as pachon\nb = pachon.browse(pachon.open('{query.id}'))\nb"
        page = opened(visit, lab, home, show, say("1"), say("2"), say("3"), "print(b.save().version)")
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
        on_sky = selected(page, home, 1)
        assert 0 < len(on_sky) < len(query.result())
        page.get_by_label("What a new shape does").select_option("narrow")
        drag(page, plot, (0.3, 0.2), (0.9, 0.9))
        expect(status).not_to_contain_text(f"{len(on_sky):,} selected", timeout=WAIT_MS)
        expect(page.locator(".pachon-sky [role=status]")).to_contain_text(
            re.compile("[^0-9]2,0[0-9]{2} of them|[0-9] of them")
        )
        visit.picture("lab-browse-selected")
        narrowed = selected(page, home, 2)
        assert 0 < len(narrowed) < len(on_sky)
        assert set(narrowed) < set(on_sky)
        in_sight = page.locator(".pachon-sky [role=status]")
        expect(in_sight).to_contain_text(f"{len(narrowed):,} of them selected", timeout=WAIT_MS)
        page.locator(".pachon-browse").screenshot(path=ARTEFACTS / "lab-browse-selected.png")
        page.get_by_label("Only selected rows").check()
        row = page.get_by_role("checkbox", name=re.compile("^Select row")).first
        expect(row).to_be_checked(timeout=WAIT_MS)
        row.focus()
        page.keyboard.press("Space")
        expect(status).to_contain_text(f"{len(narrowed) - 1:,} selected", timeout=WAIT_MS)
        final = selected(page, home, 3)
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".jp-CodeCell").nth(4).locator("pre", has_text="2")).to_be_visible(timeout=WAIT_MS)
        condition = client.open(query.id).view.document["selection"]["condition"]
        seen = client.query(f"SELECT id FROM sky.stars WHERE dec > 85 AND ({condition})")
        assert sorted(seen["id"].tolist()) == sorted(final)
        visit.assert_clean()


IMAGE = """\
import astropy.io.fits, astropy.wcs, numpy, pachon_client as pachon, pyarrow
wcs = astropy.wcs.WCS(naxis=2)
wcs.wcs.ctype, wcs.wcs.crval = ['RA---TAN', 'DEC--TAN'], [0, 20]
wcs.wcs.crpix, wcs.wcs.cdelt = [128, 128], [-0.002, 0.002]
pixels = numpy.hypot(*(numpy.mgrid[:256, :256] - 128)).astype('f4')
astropy.io.fits.writeto('field.fits', pixels, wcs.to_header(), overwrite=True)
rows = pyarrow.table({'id': range(5, 9), 'ra': [359.9, 359.95, 0.02, 0.9], 'dec': [20.05, 19.95, 20.0, 20.0]})
b = pachon.sky('field.fits', rows)
b"""


def test_rows_are_marked_on_an_image_of_ones_own_and_those_in_a_box_or_in_sight_come_back(
    lab: str, home: Path, visit: Visit
) -> None:
    if not PROGRAM.is_file():
        pytest.skip("Aladin Lite is missing: tools/system-packages.sh installs it where npm is")
    page = opened(visit, lab, home, IMAGE, say("1"), say("2"))
    page.locator(".jp-CodeCell").first.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    image, status = page.locator(".pachon-image"), page.locator(".pachon-skyview .pachon-status")
    expect(status).to_have_text("field.fits: 4 rows marked, 0 selected", timeout=START_TIMEOUT_MS)
    assert count_colours(visit.settled(image, timeout_s=60)) > 50
    page.get_by_role("button", name="Box").click()
    drag(page, image, (0.51, 0.1), (0.8, 0.9))
    expect(status).to_have_text("field.fits: 4 rows marked, 2 selected", timeout=WAIT_MS)
    visit.picture("lab-skyview")
    assert selected(page, home, 1) == [5, 6]
    image.focus()
    page.keyboard.press("Enter")
    expect(status).to_have_text("field.fits: 4 rows marked, 3 selected", timeout=WAIT_MS)
    assert selected(page, home, 2) == [5, 6, 7]
    visit.assert_clean()
