"""Browsing rows in a kernel: what shapes select, against brute force and against the platform's own ADQL."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import QTable

import pachon_client
from pachon_client import Client, Column, Query, RequestError, Result, SetupError
from pachon_client.browsing import browser as browser_module
from pachon_client.browsing.browser import Browser
from pachon_client.browsing.messages import answer
from pachon_client.browsing.model import PLOT, SKY, Browsing
from pachon_client.browsing.picture import Layer, Painter
from pachon_client.browsing.planes import SkyPlane, Window, sky_plane
from pachon_client.browsing.polygons import area, inside, pieces, simplified
from pachon_client.browsing.rows import Rows
from pachon_client.browsing.selecting import Mode
from support.app import HOLDER, Site, running_site

ALL = "SELECT id, ra, dec, g_mag, r_mag, name FROM sky.stars"
POLE = f"{ALL} WHERE dec > 88"
MERIDIAN = f"{ALL} WHERE dec BETWEEN 5 AND 15 AND (ra < 5 OR ra > 355)"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    site: Site
    with (
        running_site(tmp_path_factory.mktemp("site"), max_rows=30_000) as site,
        Client(f"{site.url}/api", HOLDER) as made,
    ):
        yield made


def browse(client: Client, rows: Any) -> Browser:
    return Browser(rows, keep=lambda result, name, view: client.save(result, name, view=view))


def result_of(**columns: Any) -> Result:
    ucds = {"g": "phot.mag", "r": "phot.mag", "id": "meta.id;meta.main"}
    table = pa.table(columns)
    return Result(table=table, columns=tuple(Column(name=name, ucd=ucds.get(name)) for name in columns))


def tell(browser: Browser, **message: Any) -> dict[str, Any]:
    """What the widget is answered."""
    ((told, _),) = answer(browser._browsing, message)
    return told


def box(plane: str, *window: float, mode: str = "new") -> dict[str, Any]:
    return {"kind": "select", "plane": plane, "shape": "box", "window": window, "mode": mode}


def lasso(plane: str, *points: tuple[float, float], mode: str = "new") -> dict[str, Any]:
    return {"kind": "select", "plane": plane, "shape": "lasso", "points": points, "mode": mode}


BLUE = box(PLOT, 0.2, 0.7, -22, -18)
WISHES = {
    "a box on a field round a pole": (POLE, [box(SKY, -0.7, 0.4, -0.5, 0.9)]),
    "a lasso round a pole": (POLE, [lasso(SKY, (-1, -0.3), (0.5, -0.8), (0.1, 0.1), (0.9, 0.8), (-0.4, 0.5))]),
    "a box on a field across right ascension 0": (MERIDIAN, [box(SKY, -0.6, 0.9, -0.5, 0.7)]),
    "a box on the whole sky across right ascension 0": (ALL, [box(SKY, -40.0, 25.5, -20.0, 80.0)]),
    "a box on the whole sky west of right ascension 0": (ALL, [box(SKY, 20.0, 120.25, -95.0, 10.0)]),
    "a lasso on the whole sky across right ascension 0": (
        ALL, [lasso(SKY, (-60, -40), (70, -30), (10, 0), (80, 60), (-50, 88))],
    ),
    "a box in the plot of a colour": (ALL, [BLUE]),
    "a lasso in the plot of a colour": (ALL, [lasso(PLOT, (0, -25), (1.1, -24), (0.5, -20), (0.9, -15), (0.1, -16))]),
    "a box on the sky narrowed in the plot": (ALL, [box(SKY, 0, 90, -30, 60), BLUE | {"mode": "narrow"}]),
    "a box on the sky beside one in the plot": (ALL, [box(SKY, 0, 90, -30, 60), BLUE | {"mode": "add"}]),
    "single rows": (ALL, [{"kind": "row", "row": row, "chosen": True} for row in (3, 77, 4_000)]),
    "a box with rows more and less": (
        ALL, [BLUE, *({"kind": "row", "row": row, "chosen": row % 2 == 0} for row in range(40))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("wish", WISHES)
def test_the_condition_selects_on_the_platform_the_very_rows_that_the_kernel_has(client: Client, wish: str) -> None:
    adql, messages = WISHES[wish]
    browser = browse(client, client.query(adql, 30_000))
    for message in messages:
        assert tell(browser, **message)["kind"] == "state"
    found = browser.selection
    assert 0 < len(found) < len(browser.rows)
    asked = client.query(f"SELECT id FROM sky.stars WHERE ({browser.adql})", 30_000)
    told = set(browser.rows["id"].tolist())
    assert set(found["id"].tolist()) == {each for each in asked["id"].tolist() if each in told}


def test_a_saved_selection_is_opened_again_with_its_plot_its_order_and_its_place(client: Client) -> None:
    query = client.ask(POLE, "around the pole").wait(30, on_change=lambda _: None)
    query.edit(view={"schema_version": "1.0", "columns": [{"name": "id"}]})
    browser = browse(client, query)
    tell(browser, **box(PLOT, 0.2, 0.7, -22, -18))
    tell(browser, kind="row", row=5, chosen=False)
    tell(browser, kind="table", first=0, count=10, sort="dec", descending=True)
    tell(browser, kind="draw", plane=SKY, window=[-0.5, 0.5, -0.4, 0.6], size=[40, 40])
    tell(browser, kind="draw", plane=PLOT, window=[0, 1.5, -24, -16], size=[40, 40])
    kept = browser.save().view
    assert kept.columns == ("id",)
    assert kept.sort == ({"column": "dec", "descending": True},)
    assert kept.document["selection"] == {"kind": "adql", "condition": browser.adql}
    assert (kept.sky["projection"], kept.sky["fov_deg"]) == ("ZEA", 1.0)
    reopened = browse(client, client.open(query.id))
    assert tell(reopened, kind="start")["sort"] == ["dec", True]
    again = reopened.view
    assert {**again.document, "sky": None, "plots": None} == {**kept.document, "sky": None, "plots": None}
    for name, value in kept.sky.items():
        assert again.sky[name] == (value if isinstance(value, str) else pytest.approx(value)), name
    assert again.plots[0]["y"] == pytest.approx(kept.plots[0]["y"])


def test_a_condition_in_adql_selects_the_rows_that_the_platform_names_and_stays_as_it_is() -> None:
    view = {"schema_version": "1.0", "selection": {"kind": "adql", "condition": "g > 20"}}
    rows = result_of(id=[7, 8, 9], g=[19.0, 21.0, 22.0])
    browsing = Browsing(rows, view=view, judge=lambda name: pa.chunked_array([[8, 9]]) if name == "id" else None)
    assert browsing.mask.tolist() == [False, True, True]
    browsing.choose_row(1, chosen=False)
    assert browsing.document()["selection"]["condition"] == "(g > 20) AND (id NOT IN (8))"
    untold = Browsing(rows, view=view)
    assert "kept until you select anew" in untold.remark
    assert untold.document()["selection"] == view["selection"]


def test_what_cannot_be_shown_of_a_view_is_kept_until_something_else_is_chosen() -> None:
    order = [{"column": "g", "descending": True}, {"column": "id", "descending": False}]
    view = {"schema_version": "1.7", "sort": order, "sky": {"ra_deg": 1.0, "dec_deg": 2.0, "fov_deg": 3.0, "new": 1}}
    browsing = Browsing(result_of(id=[7, 8], g=[19.0, 21.0], r=[1.0, 2.0]), view=view)
    assert {name: browsing.document()[name] for name in view} == view
    browsing.sort_by(None)
    assert "sort" not in browsing.document()


@pytest.mark.parametrize("kind", ["box", "polygon", "rows"])
def test_what_the_portal_selects_is_selected_here_and_saved_unchanged(client: Client, kind: str) -> None:
    query: Query = client.ask(POLE, f"with a {kind}").wait(30, on_change=lambda _: None)
    ids = [str(each) for each in query.result()["id"][:3].tolist()]
    triangle = [[18.0, 18.0], [24.0, 18.5], [20.0, 24.0]]
    selection = {
        "box": {"kind": "box", "x": "g_mag", "y": "r_mag", "x_range": [18.0, 22.0], "y_range": [17.0, 21.0]},
        "polygon": {"kind": "polygon", "x": "g_mag", "y": "r_mag", "vertices": triangle},
        "rows": {"kind": "rows", "column": "id", "values": ids},
    }[kind]
    query.edit(view={"schema_version": "1.0", "selection": selection})
    browser = browse(client, query)
    shown = query.result(shown=True)
    assert 0 < len(shown) < len(browser.rows)
    assert browser.selection.table == shown.table
    assert browser.save("the same").view.document["selection"] == selection


def test_rows_without_a_query_get_one_when_they_are_saved_and_rows_of_others_do_not(client: Client) -> None:
    browser = browse(client, client.query(POLE))
    tell(browser, kind="row", row=0, chosen=True)
    assert browser.save("picked").name == "picked"
    assert browser.save().view.document["selection"]["values"] == [str(browser.rows["id"][0])]
    foreign = pachon_client.browse(pa.table({"x": [1, 2], "y": [3, 4]}))
    with pytest.raises(RequestError, match="of no query of the platform"):
        foreign.save()


def test_rows_at_the_poles_and_across_right_ascension_0_are_placed_where_they_are() -> None:
    random = np.random.default_rng(5)
    ra, dec = random.uniform(0, 360, 500), np.degrees(np.arcsin(random.uniform(-1, 1, 500)))
    for middle in ((0.0, 90.0), (359.9, 12.0), (77.0, -89.9)):
        close = np.hypot((ra - middle[0] + 180) % 360 - 180, dec - middle[1]) < 40
        close |= (np.abs(middle[1]) > 80) & (np.abs(dec - middle[1]) < 40)
        plane = sky_plane(Rows(result_of(ra=ra[close], dec=dec[close])))
        assert isinstance(plane, SkyPlane)
        back_ra, back_dec = plane.unproject(*plane.points)
        assert np.abs((back_ra - ra[close] + 180) % 360 - 180).max() < 1e-6
        assert np.abs(back_dec - dec[close]).max() < 1e-9


def test_rows_without_numbers_are_drawn_nowhere_and_selected_by_no_shape() -> None:
    nan = float("nan")
    rows = result_of(id=[1, 2, 3, 4], ra=[10.0, nan, 11.0, None], dec=[0.0, 1.0, 0.5, 0.2], g=[20.0, 21.0, None, nan])
    browser = pachon_client.browse(rows, "g", "dec")
    told = tell(browser, kind="start")
    assert (told["planes"][SKY]["placed"], told["planes"][PLOT]["placed"]) == (2, 2)
    tell(browser, **box(SKY, -90.0, 90.0, -90.0, 90.0))
    assert browser.selection["id"].tolist() == [1, 3]
    tell(browser, **box(PLOT, 0.0, 99.0, -90.0, 90.0))
    assert browser.selection["id"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("rows", "planes"),
    [
        (result_of(ra=pa.array([], pa.float64()), dec=pa.array([], pa.float64())), {PLOT}),
        (result_of(ra=[float("nan")], dec=[1.0]), {PLOT}),
        (result_of(name=["a", "b"], n=[1, 2]), set()),
        (result_of(ra=[5.0], dec=[5.0]), {SKY, PLOT}),
    ],
    ids=["no rows", "no known position", "one column of numbers", "one row"],
)
def test_rows_that_can_hardly_be_drawn_are_browsed_as_far_as_they_go(rows: Result, planes: set[str]) -> None:
    browser = pachon_client.browse(rows)
    told = tell(browser, kind="start")
    assert set(told["planes"]) == planes
    for name, plane in told["planes"].items():
        drawn = tell(browser, kind="draw", plane=name, window=plane["home"], size=[30, 20])
        assert drawn["rows"] == plane["placed"]
    assert tell(browser, kind="table", first=40, count=10)["total"] == len(rows)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"kind": "axes", "x": "nothing", "y": "g"}, "no column 'nothing' of numbers; those are: id, ra, dec, g"),
        ({"kind": "axes", "x": "g * 2", "y": "g"}, "a column or one minus another"),
        ({"kind": "draw", "plane": SKY, "window": [0, 1, 0, 1], "size": [99_999, 10]}, "each side may be 1 to 4096"),
        ({"kind": "draw", "plane": SKY, "window": [1, 1, 0, 1], "size": [9, 9]}, "runs from left to right"),
        ({"kind": "draw", "plane": "moon", "window": [0, 1, 0, 1], "size": [9, 9]}, "no plane 'moon'"),
        (lasso(SKY, (0, 0), (1, 1), (2, 2)), "encloses nothing"),
        ({"kind": "row", "row": 7, "chosen": True}, "no row 7; there are 2"),
        ({"kind": "dance"}, "asks for 'dance'"),
        ({"kind": "row"}, "run the cell again"),
    ],
)
def test_what_the_widget_may_not_ask_is_said_in_one_sentence_and_changes_nothing(
    message: dict[str, Any], said: str
) -> None:
    browser = pachon_client.browse(result_of(id=[1, 2], ra=[10.0, 11.0], dec=[0.0, 1.0], g=[20.0, 21.0]))
    tell(browser, kind="row", row=1, chosen=True)
    before = tell(browser, kind="start")
    told = tell(browser, **message)
    assert (told["kind"], said in told["text"]) == ("said", True), told
    assert tell(browser, kind="start") == before


def test_single_rows_without_an_identifier_are_selected_but_cannot_be_written_down() -> None:
    browser = pachon_client.browse(pa.table({"x": [1.0, 1.0], "y": [2.0, 2.0]}))
    assert tell(browser, kind="row", row=1, chosen=True)["adql"].startswith("-- Rows were picked one by one")
    assert len(browser.selection) == 1
    with pytest.raises(RequestError, match="no column tells them apart"):
        _ = browser.adql


def test_lines_drawn_by_hand_become_polygons_that_no_cut_changes() -> None:
    random = np.random.default_rng(11)
    x, y = random.uniform(-1.5, 1.5, (2, 4_000))
    for _ in range(60):
        turns = np.cumsum(random.exponential(1, 40))
        turns *= 2.1 * np.pi / turns[-1]
        radii = random.uniform(0.3, 1.4, 40)
        drawn = list(zip((radii * np.cos(turns)).tolist(), (radii * np.sin(turns)).tolist(), strict=True))
        polygon = simplified(drawn, 24)
        assert 3 <= len(polygon) <= 24
        assert abs(area(polygon)) > 0.3
        cut = np.logical_or.reduce([piece.holds(x, y) for piece in pieces(polygon)])
        np.testing.assert_array_equal(cut, inside(x, y, polygon))


def test_a_picture_holds_every_row_once_whoever_counts() -> None:
    random = np.random.default_rng(2)
    layer = Layer(*random.normal(0, 1, (2, 30_000)))
    layer.x[:100] = np.nan
    window, size = Window((-2.0, 1.5), (-1.0, 2.5)), (70, 50)
    painter = Painter()
    by_numpy = painter.counts(layer, window, size=size)
    painter.load()
    by_datashader = painter.counts(layer, window, size=size)
    seen = (layer.x >= -2) & (layer.x <= 1.5) & (layer.y >= -1) & (layer.y <= 2.5)
    assert by_numpy.sum() == by_datashader.sum() == seen.sum()
    assert np.count_nonzero(by_numpy != by_datashader) <= 2


def test_a_picture_shows_selected_rows_above_the_others() -> None:
    browsing = Browsing(result_of(a=[0.0, 1.0], b=[0.0, 1.0]))
    browsing.select_box(PLOT, Window((0.5, 1.5), (0.5, 1.5)), Mode.NEW)
    message = {"kind": "draw", "plane": PLOT, "window": [-0.5, 1.5, -0.5, 1.5], "size": [20, 20], "view": "v"}
    ((told, (picture,)),) = answer(browsing, message)
    shades = np.frombuffer(zlib.decompress(picture), np.uint8).reshape(20, 20)
    assert (told["rows"], told["selected"], told["view"]) == (2, 1, "v")
    assert (shades[15, 5], shades[5, 15]) == (127, 255)


def test_a_kernel_without_what_draws_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_module, "find_spec", lambda name: None if name == "datashader" else name)
    with pytest.raises(SetupError, match=r"browse needs datashader: pip install pachon-client\[notebook\]"):
        _ = pachon_client.browse(pa.table({"x": [1], "y": [2]})).widget


def test_tables_of_other_libraries_are_browsed_and_other_things_are_refused() -> None:
    frame = pd.DataFrame({"ra": [1.0, 2.0], "dec": [3.0, 4.0], "n": [5, 6]})
    for table in (frame, QTable.from_pandas(frame), pa.Table.from_pandas(frame)):
        assert set(tell(pachon_client.browse(table), kind="start")["planes"]) == {SKY, PLOT}
    with pytest.raises(RequestError, match="A list cannot be browsed"):
        pachon_client.browse([1, 2])
