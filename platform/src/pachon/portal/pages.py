"""The Portal's page: the views put together for one session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.core.errors import LimitError
from pachon.portal import compute, downloads, plots
from pachon.portal.ask_view import AskView
from pachon.portal.asking import Asking
from pachon.portal.downloads import Downloads, Kept
from pachon.portal.dress import FOLDER, button, stylesheet
from pachon.portal.hearing import Hearing
from pachon.portal.history_view import HistoryView
from pachon.portal.map_view import MapView
from pachon.portal.releases_page import bar
from pachon.portal.result_view import ResultView
from pachon.portal.saved_rows import absence_of, places_shown, rows_of
from pachon.portal.saved_view import AtHand, SavedView
from pachon.portal.state import Catalogue, Newest, Person, Pools, Source, TileCache, Tiles, catalogues_of
from pachon.portal.turn import Turn
from pachon.portal.viewed import Place, Viewed, read_view
from pachon_client import AnswerError, AuthenticationError, PachonClientError, UnavailableError, UnreachableError

if TYPE_CHECKING:
    import numpy as np
    from bokeh.document import Document
    from numpy.typing import NDArray

    from pachon.portal.density import Picture
    from pachon_client import Change, Query, Release, Result

_LOGGER = logging.getLogger(__name__)
_STEP = 0.25
_ZOOM = 2.0
_NEARLY_ALL = 0.99
_RETRY_S = 4.0
_LISTED_RUNS = 200
_GATHERS_S = 0.15
"""For so long changes are gathered before lists are read again."""
_SETTLES_S = 1.0
"""After this time the platform has recorded the end of a query whose connection was closed."""
_GIVEN_UP = (
    "This result made room for a newer one: results that are shown may only take so much memory. "
    "Run the query again to see it."
)
_AWAY = (UnreachableError, UnavailableError, AnswerError)

OpenSource = Callable[[str], Source]


class _Template(pn.Template):  # type: ignore[misc]
    """Panel's template, made faster: it describes itself shortly, and its models are gathered once, not once a root."""

    def __repr__(self) -> str:
        return "<the Portal's page>"

    def _init_doc(self, doc: Document | None = None, *arguments: Any, **options: Any) -> Document:  # noqa: ANN401 -- Panel's own
        with (doc or pn.state.curdoc).models.freeze():
            return super()._init_doc(doc, *arguments, **options)


class PortalPage:
    """One session: a person, their view of the sky, and what they ask.

    Parameters
    ----------
    person
        Who it is.
    open_source
        Opens a connection to the platform with a token.
    cache, pools, offered
        Tiles, threads and results to download, shared by all sessions of the process.
    hearing
        Tells what changes at the platform.
    base_url
        Public address of the platform.
    wanted
        Address of the saved query to open; empty for none.
    """

    def __init__(
        self,
        person: Person,
        open_source: OpenSource,
        *,
        cache: TileCache,
        pools: Pools,
        offered: Downloads,
        hearing: Hearing,
        base_url: str,
        document: Document,
        wanted: str = "",
    ) -> None:
        self._person, self._document, self._offered = person, document, offered
        self._hearing = hearing
        self._hears_of: str | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._wanted, self._base_url = wanted, base_url
        self._asked: tuple[str, int | None] | None = None
        self._opened = Viewed()
        self._rows_of_rest: NDArray[np.bool_] | None = None
        self._wanted_catalogue = ""
        self._root = "/" + base_url.split("/", 3)[3] if base_url.count("/") > 2 else ""  # noqa: PLR2004 -- scheme://host/path
        self._turn = Turn(document, self._met_fault)
        self._source = open_source(person.token)
        self._asking = Asking(lambda: open_source(person.token), pool=pools.asking, turn=self._turn)
        self._catalogues: tuple[Catalogue, ...] = ()
        self._download_key: str | None = None
        self._is_retrying = self._will_refresh = False
        self._collects = Newest(pools.collecting, self._turn)
        self._histories = Newest(pools.asking, self._turn)
        self._positions = Newest(pools.drawing, self._turn)
        self._chosen = Newest(pools.asking, self._turn)
        self.map = MapView(
            self._source,
            Tiles(self._source, cache, pools.fetching, person=person),
            pools=pools,
            turn=self._turn,
            on_box=self._select_on_map,
            on_change=self._map_changed,
            on_trouble=self._map_trouble,
        )
        self.ask = AskView(
            turn=self._turn, run=self._run, cancel=self._cancel, go_to=self._go_to, map_centre=self._map_centre
        )
        self.results = ResultView(
            pool=pools.drawing, turn=self._turn, on_selection=self.map.show_chosen, on_filter=self._mark_rows
        )
        self.history = HistoryView(self.ask.show_query, turn=self._turn)
        self.saved = SavedView(
            self._source,
            pool=pools.asking,
            turn=self._turn,
            at_hand=self._at_hand,
            show=self._show_saved,
            explain=self._explain,
            base_url=base_url,
        )
        self._make_widgets()

    def template(self) -> pn.Template:
        """The page, ready to be served."""
        page = _Template(FOLDER.joinpath("page.html").read_text(encoding="utf-8"))
        for name, shown in self._panels().items():
            page.add_panel(name, shown)
        page.add_variable("bar", bar(root=self._root, person=self._person.name))
        page.add_variable("root", self._root)
        page.add_variable("title", "Portal \N{MIDDLE DOT} Pachon")
        plots.follow_scheme(self._document, (*self.results.colour.styles, *self.results.bars.styles))
        return page

    def start(self) -> None:
        """Collect what there is; called once the page is there."""
        self._collect()
        self._refresh_history()
        self._listen("")
        if self._wanted:
            self._turn(lambda: self.saved.open(self._wanted))

    def close(self) -> None:
        """Give up what runs, close the connections and forget the result."""
        self._unsubscribe()
        self._asking.give_up()
        self._source.close()
        self._offered.drop(self._download_key)

    def _panels(self) -> dict[str, Any]:
        return {
            "map": pn.pane.Bokeh(self.map.plot.figure, sizing_mode="stretch_both", margin=0),
            "map_buttons": self._map_buttons,
            "catalogue": self._selector,
            "origin": self._origin,
            "legend": self._legend,
            "map_note": self._note,
            "ask": self.ask.forms,
            "ask_status": self.ask.status,
            "ask_clock": self.ask.clock,
            "summary": self.results.summary,
            "question": self.results.question,
            "chosen": self.results.chosen,
            "clear": self.results.clear,
            "filters": self.results.filters.form,
            "colour": self.results.colour_card,
            "histogram": self.results.bars_card,
            "table": self.results.table.card,
            "history": self.history.list,
            "saved": self.saved.form,
        }

    def _make_widgets(self) -> None:
        html: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "stylesheets": [stylesheet()]}
        self._selector = pn.widgets.Select(
            label="Catalogue", options={"Loading\N{HORIZONTAL ELLIPSIS}": None}, stylesheets=[stylesheet()], margin=0,
            sizing_mode="stretch_width", css_classes=["catalogue"],
        )  # fmt: skip
        self._selector.param.watch(lambda event: self._turn(lambda: self._catalogue_chosen(event.new)), "value")
        self._origin, self._legend, self._note = (pn.pane.HTML("", **html) for _ in range(3))
        moves: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("+", "zoom-in", lambda: self.map.show(self.map.view.zoomed(_ZOOM))),
            ("\N{MINUS SIGN}", "zoom-out", lambda: self.map.show(self.map.view.zoomed(1 / _ZOOM))),
            ("\N{LEFTWARDS ARROW}", "pan-left", lambda: self.map.show(self.map.view.moved(-_STEP, 0))),
            ("\N{RIGHTWARDS ARROW}", "pan-right", lambda: self.map.show(self.map.view.moved(_STEP, 0))),
            ("\N{UPWARDS ARROW}", "pan-up", lambda: self.map.show(self.map.view.moved(0, _STEP))),
            ("\N{DOWNWARDS ARROW}", "pan-down", lambda: self.map.show(self.map.view.moved(0, -_STEP))),
            ("All", "whole-sky", self.map.reset),
        )
        self._map_buttons = pn.Row(
            *(button(sign, press, turn=self._turn, classes=["on-sky", name], gap=2) for sign, name, press in moves),
            margin=0,
        )

    def _collect(self) -> None:
        self._collects.ask(self._source.releases, self._show_releases, self._map_trouble)

    def _show_releases(self, releases: tuple[Release, ...]) -> None:
        self._catalogues = catalogues_of(releases)
        if not self._catalogues:
            self._selector.options = {"Nothing to show yet": None}
            self._note.object = '<p class="banner">No catalogue with positions is loaded yet; the map stays empty.</p>'
            return
        options = {catalogue.label: catalogue.name for catalogue in self._catalogues}
        known = self._wanted_catalogue in options.values()
        self._selector.param.update(
            options=options, value=self._wanted_catalogue if known else self._catalogues[0].name
        )

    def _catalogue_chosen(self, name: str | None) -> None:
        chosen = next((catalogue for catalogue in self._catalogues if catalogue.name == name), None)
        if chosen is not None:
            self._origin.object = origin_html(chosen)
            self.ask.show_catalogue(chosen)
            self.map.show_catalogue(chosen)

    def _map_changed(self, picture: Picture, row_count: float) -> None:
        self._legend.object = plots.legend_html(picture)
        state = "" if picture.is_complete else " \N{MIDDLE DOT} sharpening\N{HORIZONTAL ELLIPSIS}"
        self._note.object = f'<p class="map-count">{self._in_view(row_count)} objects in view{state}</p>'

    def _in_view(self, row_count: float) -> str:
        """The count in view: the catalogue's own where the whole sky is in view, never more than that."""
        rows = next((known.table.row_count for known in self._catalogues if known.name == self._selector.value), None)
        if rows is None:
            return f"about {_rounded(row_count)}"
        if self.map.view.shows_whole_sky:
            return f"{rows:,}"
        return f"about {_rounded(row_count)}" if row_count < _NEARLY_ALL * rows else f"at most {rows:,}"

    def _map_trouble(self, error: BaseException) -> None:
        """Say why the map is not complete; what may be there again soon is asked again."""
        self._note.object = f'<p class="banner banner-error" role="alert">{escape(self._explain(error))}</p>'
        if isinstance(error, _AWAY) and not self._is_retrying:
            self._is_retrying = True
            self._turn.after(_RETRY_S, self._retry)

    def _retry(self) -> None:
        self._is_retrying = False
        if self._catalogues:
            self.map.redraw()
        else:
            self._collect()
        self._refresh_history()

    def _go_to(self, ra_deg: float, dec_deg: float, field_deg: float) -> None:
        self.map.go_to(ra_deg, dec_deg, field_deg=field_deg)

    def _map_centre(self) -> tuple[float, float, float] | None:
        centre = self.map.view.centre
        return None if centre is None else (*centre, self.map.view.field_deg)

    def _run(self, adql: str, max_rows: int | None, then: Callable[[], None] | None = None) -> None:
        self._take(lambda source: source.query(adql, max_rows), adql, max_rows, then=then)

    def _take(
        self, ask: Callable[[Source], Result], adql: str, max_rows: int | None, then: Callable[[], None] | None = None
    ) -> None:
        """Wait for rows, show them, and call `then`."""

        def show(result: Result) -> None:
            self._show_result(result, adql, max_rows=max_rows)
            if then is not None and self.results.result is result:
                then()

        self.ask.started()
        self._asking.run(ask, then=show, failed=self._failed)

    def _show_result(self, result: Result, adql: str, *, max_rows: int | None) -> None:
        seconds = self.ask.ended()
        self._asked = adql, max_rows
        self._refresh_history()
        self._offered.drop(self._download_key)
        self._download_key = None
        try:
            key = self._offered.keep(Kept(self._person.name, adql, result), given_up=self._given_up)
        except LimitError as error:
            self.ask.failed(error.message)
            self._let_go(error.message)
            return
        self._download_key = key
        addresses = downloads.links(self._download_key, root=self._root)
        shown_rows = len(result) if max_rows is None else max_rows
        self.results.show(result, adql=adql, max_rows=shown_rows, seconds=seconds, downloads=addresses)
        self._mark_rows()
        self.ask.found(len(result), seconds=seconds, overflow=result.overflow)

    def _mark_rows(self) -> None:
        """Mark the rows that pass the filters on the map."""
        result, kept = self.results.result, self.results.kept
        if result is None:
            return

        def mark(positions: tuple[NDArray[np.float64], NDArray[np.float64]] | None) -> None:
            if result is self.results.result:
                self.map.show_found(positions, self.results.selected)

        self._positions.ask(lambda: compute.positions_of(result, among=kept), mark, self._failed)

    def _given_up(self, key: str) -> None:
        """Another session's newer result needed the room of the one shown here."""
        self._turn(lambda: self._let_go(_GIVEN_UP) if key == self._download_key else None)

    def _let_go(self, why: str) -> None:
        self._download_key = None
        self.results.put_aside(why)
        self.map.show_found(None, None)

    def _failed(self, error: BaseException) -> None:
        self.ask.ended()
        self.ask.failed(self._explain(error))
        self._refresh_history()

    def _cancel(self) -> None:
        if self._asking.give_up():
            self.ask.ended()
            self.ask.say("The query was given up.")
            self._turn.after(_SETTLES_S, self._refresh_history)

    def _at_hand(self) -> AtHand | None:
        """What there is to save; None before anything was asked."""
        if self._asked is None:
            return None
        centre = self._map_centre()
        viewed = self._opened
        if self.results.result is not None:
            place = None if centre is None else Place(*centre)
            viewed = replace(self.results.viewed(), place=place, rest=self._rest_of(self._asked[0]))
        form = {"catalogue": self._selector.value or ""}
        selected = None if self._has_rows_of_rest else self.results.selected
        return AtHand(*self._asked, self.results.result, selected, viewed, form)

    @property
    def _has_rows_of_rest(self) -> bool:
        """Whether those rows are selected that the opened view shows by what this page has no fields for."""
        return self._rows_of_rest is not None and self.results.selected is self._rows_of_rest

    def _rest_of(self, adql: str) -> Mapping[str, Any]:
        """What of the opened view this page has no fields for, as long as the text is the same.

        What says which rows are shown goes when other rows are selected.
        """
        query = self.saved.query
        if query is None or query.adql.strip() != adql.strip():
            return {}
        is_replaced = self._rows_of_rest is not None and not self._has_rows_of_rest
        return {name: each for name, each in self._opened.rest.items() if not (is_replaced and name == "selection")}

    def _show_saved(self, query: Query) -> None:
        """Show a saved query: its text, its rows or why there are none, and its view."""
        self._listen(self._wanted_of(query) if query.document["access"] == "reader" else "")
        current = query.document["current"]
        viewed, unshown = read_view(current["view"] or {})
        self._opened, self._asked = viewed, (query.adql, current["max_rows"])
        self._rows_of_rest = None
        self.ask.show_query(query.adql, current["max_rows"])
        self._wanted_catalogue = str((current["form"] or {}).get("catalogue", ""))
        if self._wanted_catalogue in {catalogue.name for catalogue in self._catalogues}:
            self._selector.value = self._wanted_catalogue
        if viewed.place is not None:
            self._go_to(viewed.place.ra_deg, viewed.place.dec_deg, viewed.place.field_deg)

        absence = absence_of(current)
        can_choose = absence is None

        def restore() -> None:
            lost = ("its selection",) if viewed.is_chosen_elsewhere and not can_choose else ()
            self.saved.missing((*self.results.restore(viewed), *unshown, *lost))
            if can_choose and current["result"]["reason"]:
                self.saved.say(current["result"]["reason"])
            if viewed.is_chosen_elsewhere and can_choose:
                self._choose_shown(query)

        if absence is None:
            self._take(lambda source: rows_of(source.open(self._wanted_of(query))), *self._asked, then=restore)
        elif absence:
            self.saved.say(absence)
        else:
            self._run(*self._asked, then=restore)

    def _choose_shown(self, query: Query) -> None:
        """Select the rows that the view shows, by a selection that the platform applies."""
        result, source, address = self.results.result, self._source, self._wanted_of(query)
        if result is None:
            return

        def select(rows: NDArray[np.bool_]) -> None:
            if result is self.results.result:
                self._rows_of_rest = rows
                self.results.select(rows)

        self._chosen.ask(lambda: places_shown(source.open(address), result), select, self._not_chosen)

    def _not_chosen(self, error: BaseException) -> None:
        self.saved.say(f"Its selection is not shown here, and kept as it is: {self._explain(error)}")

    def _wanted_of(self, query: Query) -> str:
        """The address that opened a query, with the token of its link if it had one."""
        return self._wanted if query.id in self._wanted else query.id

    def _select_on_map(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        result = self.results.result

        def select(rows: NDArray[np.bool_]) -> None:
            if result is self.results.result:
                self.results.select(rows)

        if not self.map.find_in_box(x_range, y_range, select):
            self.ask.say("Search first: a box on the map selects among the rows of a result.")

    def _listen(self, address: str) -> None:
        """Have changes told to this page: those of its person, and of the query at an address if it is only read."""
        address = f"?q={address}" if address and "q=" not in address else address
        if address == self._hears_of:
            return
        self._unsubscribe()
        self._hears_of = address
        self._unsubscribe = self._hearing.subscribe(
            self._person, lambda change: self._turn(lambda: self._changed(change)), address=address
        )

    def _changed(self, change: Change) -> None:
        """Something changed, here or elsewhere: lists are read again soon, and the open query is looked at."""
        query = self.saved.query
        is_of_query = query is not None and change.payload.get("id") in {query.id, None}
        if change.kind != "query.changed" and not self._will_refresh:
            self._will_refresh = True
            self._turn.after(_GATHERS_S, self._refresh_history)
        if is_of_query:
            self.saved.news.look()

    def _refresh_history(self) -> None:
        self._will_refresh = False
        self._histories.ask(
            lambda: (self._source.running(), self._source.executions(_LISTED_RUNS)),
            lambda found: self.history.show(found[1], running=found[0]),
            lambda error: _LOGGER.info("The list of runs could not be had: %s", error),
        )

    def _met_fault(self, error: Exception) -> None:
        self.ask.ended()
        self.ask.failed(self._explain(error))

    def _explain(self, error: BaseException) -> str:
        if isinstance(error, AuthenticationError):
            return "Your login has ended. Load the page again to log in."
        if isinstance(error, UnreachableError | AnswerError):
            _LOGGER.warning("The platform did not answer a session of %s: %s", self._person.name, error)
            return "The platform is not answering at the moment; nothing here is lost. Try again in a few seconds."
        if isinstance(error, PachonClientError):
            return str(error)
        _LOGGER.error("A session of %s met a fault", self._person.name, exc_info=error)
        return "Something went wrong on our side; it has been logged. Try again."


def origin_html(catalogue: Catalogue) -> str:
    """Whose data these are: SIMULATED where they are, else source, DOI and licence."""
    release = catalogue.release
    parts = []
    if release.simulated:
        parts.append('<span class="badge badge-simulated">SIMULATED</span>')
    if catalogue.table.row_count is not None:
        parts.append(f"<span>{catalogue.table.row_count:,} rows</span>")
    if release.source:
        parts.append(f"<span>{escape(release.source)}</span>")
    if release.doi:
        parts.append(f'<a href="https://doi.org/{escape(release.doi)}" rel="noreferrer">doi:{escape(release.doi)}</a>')
    if release.licence:
        parts.append(f"<span>Licence: {escape(release.licence)}</span>")
    return '<p class="origin">' + " \N{MIDDLE DOT} ".join(parts) + "</p>"


def _rounded(count: float) -> str:
    if count < 1000:  # noqa: PLR2004 -- below, the count itself
        return f"{count:.0f}"
    digits = max(0, len(str(int(count))) - 3)
    return f"{round(count, -digits):,.0f}"
