"""The question as a person asks it: a cone form, an ADQL box, and how the run goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.core.errors import PachonError
from pachon.core.sky import Cone
from pachon.portal import compute
from pachon.portal.dress import button, stylesheet
from pachon.portal.enter_field import EnterField

if TYPE_CHECKING:
    from pachon.portal.state import Catalogue
    from pachon.portal.turn import Turn

ROW_LIMITS = {"1,000 rows": 1_000, "10,000 rows": 10_000, "100,000 rows": 100_000, "1,000,000 rows": 1_000_000}
_MAX_RADIUS_DEG = 90.0
_TICK_S = 0.25
_FIELD_RADII = 3

PLACES: tuple[tuple[str, float, float, float], ...] = (
    ("Pleiades", 56.75, 24.12, 2.0),
    ("Hyades", 66.75, 15.87, 4.0),
    ("Orion's belt", 84.05, -1.2, 3.0),
    ("Small Magellanic Cloud", 13.19, -72.83, 3.0),
)
"""Places to begin with: name, RA, Dec and radius, ICRS degrees."""


class AskView:
    """Two ways to ask, one run at a time.

    Parameters
    ----------
    turn
        The session's own turn.
    run
        Starts a query, in the place of one that runs: ADQL and the most rows.
    cancel
        Gives the running query up.
    go_to
        Shows a place on the map: RA, Dec and field, degrees.
    map_centre
        Where the map looks: RA, Dec and field, degrees; None off the sky.
    """

    def __init__(
        self,
        *,
        turn: Turn,
        run: Callable[[str, int], None],
        cancel: Callable[[], None],
        go_to: Callable[[float, float, float], None],
        map_centre: Callable[[], tuple[float, float, float] | None],
    ) -> None:
        self._turn = turn
        self._run, self._cancel, self._go_to, self._map_centre = run, cancel, go_to, map_centre
        self._catalogue: Catalogue | None = None
        self._started_at: float | None = None
        self._make_widgets()
        self.forms = pn.Tabs(
            ("Around a position", self._cone_form()),
            ("ADQL", self._adql_form()),
            css_classes=["ask-forms"],
            stylesheets=[stylesheet()],
            sizing_mode="stretch_width",
        )
        self.status, self.clock = (
            pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[stylesheet()], margin=0) for _ in range(2)
        )

    def show_catalogue(self, catalogue: Catalogue) -> None:
        """Ask this catalogue from now on."""
        first = self._catalogue is None
        self._catalogue = catalogue
        self._examples.options = ["Choose\N{HORIZONTAL ELLIPSIS}", *_examples(catalogue)]
        if first and not self._editor.value:
            self._editor.value = next(iter(_examples(catalogue).values()))

    def show_query(self, adql: str, max_rows: int | None = None) -> None:
        """Put a query into the ADQL box, with its limit of rows where the page offers that."""
        self._editor.value = adql
        if max_rows in ROW_LIMITS.values():
            self._limits[1].value = max_rows
        self.forms.active = 1

    def started(self) -> None:
        """A run has begun."""
        self._started_at = started_at = time.monotonic()
        self._editor.annotations = []
        self._set_running(is_running=True)
        self.status.object = (
            '<p class="running"><span class="progress" aria-hidden="true"></span>Asking\N{HORIZONTAL ELLIPSIS}</p>'
        )
        self._tick(started_at)

    def ended(self) -> float:
        """The run has ended; returns its seconds."""
        self._set_running(is_running=False)
        started_at, self._started_at = self._started_at, None
        self.status.object = self.clock.object = ""
        return time.monotonic() - started_at if started_at is not None else 0.0

    def found(self, row_count: int, *, seconds: float, overflow: bool) -> None:
        """Say beside the button what came, and lead to it."""
        rows = f"{'The first ' if overflow else ''}{row_count:,} row{'' if row_count == 1 else 's'}"
        self.status.object = (
            f'<p class="found"><span><strong>{rows}</strong> in {seconds:.2f} s</span> '
            f'<a class="to-results" href="#results">{"Show the results" if row_count else "See what to do"}</a></p>'
        )

    def failed(self, message: str) -> None:
        """Show an error, and mark its place in the ADQL box."""
        place = compute.error_place(message)
        if place is not None and self.forms.active == 1:
            mark = {"row": place[0] - 1, "column": place[1] - 1, "text": message, "type": "error"}
            self._editor.annotations = [mark]
        self.status.object = f'<p class="banner banner-error" role="alert">{escape(message)}</p>'

    def say(self, message: str) -> None:
        """Show a note."""
        self.status.object = f'<p class="banner" role="status">{escape(message)}</p>'

    def _make_widgets(self) -> None:
        text: dict[str, Any] = {"stylesheets": [stylesheet()], "sizing_mode": "stretch_width", "margin": (4, 6)}
        text |= {"on_enter": self._search_cone, "turn": self._turn}
        self._ra = EnterField(label="RA [deg]", value="56.75", **text)
        self._dec = EnterField(label="Dec [deg]", value="+24.12", **text)
        self._radius = EnterField(label="Radius [deg]", value="2", **text)
        self._limits = [
            pn.widgets.Select(
                label="At most", options=ROW_LIMITS, value=10_000, width=170, stylesheets=[stylesheet()], margin=(4, 6)
            )
            for _ in range(2)
        ]
        self._limits[0].link(self._limits[1], value="value", bidirectional=True)
        self._editor = pn.widgets.CodeEditor(
            language="sql", theme="textmate", height=190, sizing_mode="stretch_width", stylesheets=[stylesheet()],
            print_margin=False, margin=(6, 6),
        )  # fmt: skip
        self._examples = pn.widgets.Select(
            label="Examples", options=[], width=170, stylesheets=[stylesheet()], margin=(4, 6)
        )
        self._examples.param.watch(lambda _: self._turn(self._example_chosen), "value")
        self._searches = [
            button("Search", self._search_cone, turn=self._turn, kind="primary", classes=["search-cone"]),
            button("Run query", self._run_adql, turn=self._turn, kind="primary", classes=["run-adql"]),
        ]
        self._cancels = [
            button("Cancel", self._cancel, turn=self._turn, classes=["cancel-run"], visible=False) for _ in range(2)
        ]

    def _cone_form(self) -> pn.Column:
        chips = [
            button(name, partial(self._place_chosen, ra, dec, radius), turn=self._turn, kind="light")
            for name, ra, dec, radius in PLACES
        ]
        centre = button("Map centre", self._take_centre, turn=self._turn, kind="light")
        return pn.Column(
            pn.Row(self._ra, self._dec, self._radius, sizing_mode="stretch_width", margin=(8, 0, 0, 0)),
            pn.FlexBox(*chips, centre, gap="2px", margin=(6, 0)),
            pn.Row(self._limits[0], sizing_mode="stretch_width", margin=0),
            pn.Row(self._searches[0], self._cancels[0], margin=(6, 0)),
            sizing_mode="stretch_width",
            margin=0,
        )

    def _adql_form(self) -> pn.Column:
        return pn.Column(
            self._editor,
            pn.FlexBox(self._examples, self._limits[1], gap="6px", margin=0, align_items="end"),
            pn.Row(self._searches[1], self._cancels[1], margin=(6, 0)),
            sizing_mode="stretch_width",
            margin=(8, 0, 0, 0),
        )

    def _place_chosen(self, ra_deg: float, dec_deg: float, radius_deg: float) -> None:
        self._ra.value, self._dec.value, self._radius.value = f"{ra_deg:g}", f"{dec_deg:+g}", f"{radius_deg:g}"
        self._go_to(ra_deg, dec_deg, 4 * radius_deg)

    def _take_centre(self) -> None:
        centre = self._map_centre()
        if centre is None:
            self.failed("The middle of the map is not on the sky; move the map and try again.")
            return
        ra_deg, dec_deg, field_deg = centre
        self._ra.value, self._dec.value = f"{ra_deg:.4f}", f"{dec_deg:+.4f}"
        self._radius.value = f"{min(_MAX_RADIUS_DEG, field_deg / 4):.3g}"

    def _search_cone(self) -> None:
        if self._catalogue is None:
            self.say("The catalogues are still on their way; search again in a moment.")
            return
        try:
            cone = Cone(
                compute.parse_number(self._ra.value, name="RA", low=0, high=360),
                compute.parse_number(self._dec.value, name="Dec", low=-90, high=90),
                compute.parse_number(self._radius.value, name="Radius", low=0, high=_MAX_RADIUS_DEG),
            )
        except PachonError as error:
            self.failed(error.message)
            return
        adql = compute.cone_query(self._catalogue.table, cone)
        self._editor.value = adql
        self._go_to(cone.ra_deg, cone.dec_deg, _FIELD_RADII * cone.radius_deg)
        self._run(adql, self._limits[0].value)

    def _run_adql(self) -> None:
        adql = (self._editor.value_input or self._editor.value or "").strip()
        if not adql:
            self.failed("Write a query first, or take one of the examples.")
            return
        self._run(adql, self._limits[1].value)

    def _example_chosen(self) -> None:
        chosen = self._examples.value
        if self._catalogue is not None and chosen in (examples := _examples(self._catalogue)):
            self._editor.value = examples[chosen]

    def _set_running(self, *, is_running: bool) -> None:
        for search, cancel in zip(self._searches, self._cancels, strict=True):
            search.disabled, cancel.visible = is_running, is_running

    def _tick(self, started_at: float) -> None:
        """Show how long the run takes, as long as it is this one."""
        if started_at == self._started_at:
            self.clock.object = f'<p class="clock">{time.monotonic() - started_at:.1f} s</p>'
            self._turn.after(_TICK_S, lambda: self._tick(started_at))


def _examples(catalogue: Catalogue) -> dict[str, str]:
    """Queries that work for a catalogue, from what its columns are."""
    table = catalogue.table
    magnitudes = compute.magnitude_axes(table.columns)
    where = (
        f"WHERE 1 = CONTAINS(POINT({table.ra_column}, {table.dec_column}),\n                   CIRCLE(56.75, 24.12, 2))"
    )
    found = {"Stars of the Pleiades": f"SELECT *\nFROM {table.name}\n{where}"}
    if magnitudes:
        name = magnitudes[0].column
        found["The brightest 1,000"] = (
            f"SELECT TOP 1000 *\nFROM {table.name}\nWHERE {name} IS NOT NULL\nORDER BY {name}"
        )
        found["How many are brighter than 6"] = f"SELECT COUNT(*) AS n\nFROM {table.name}\nWHERE {name} < 6"
    return found
