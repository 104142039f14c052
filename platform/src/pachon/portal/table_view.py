"""The rows of a result, one page at a time: only the rows of the page leave Arrow."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn

from pachon.portal import compute
from pachon.portal.dress import button, stylesheet
from pachon.portal.state import Newest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from pachon.portal.turn import Later
    from pachon_client import Column, Result

PAGE_ROWS = 15
_AS_FOUND = "as found"
_RISING, _FALLING = "rising", "falling"


@dataclass(frozen=True, slots=True)
class _Order:
    """Which rows are listed in which order, as of one state of the view; `rows` is None for all as they came."""

    version: int
    rows: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class _Page:
    order: _Order
    first: int
    frame: pd.DataFrame


class TableView:
    """Pages through a result, or through what is selected of it, in the order of a column.

    Parameters
    ----------
    pool, turn
        Where rows are put in order and cut out, and the session's own turn.
    """

    def __init__(self, *, pool: Executor, turn: Later) -> None:
        self._turn = turn
        self._pages = Newest(pool, turn)
        self._result: Result | None = None
        self._selected: NDArray[np.bool_] | None = None
        self._row_count = 0
        self._first = 0
        self._version = 0
        self._order = _Order(-1, None)
        self._rows: pn.widgets.Tabulator | None = None
        self._place = pn.Column(sizing_mode="stretch_width", margin=0)
        self._make_widgets()
        self.card = pn.Column(
            pn.FlexBox(
                self.by, self.direction, *self.turns.values(), self.place, align_items="end", margin=(0, 0, 8, 0)
            ),
            self._place,
            sizing_mode="stretch_width",
            margin=0,
        )

    def show(self, result: Result | None) -> None:
        """Show another result from its first row, nothing selected; with None, nothing."""
        self._result, self._rows = result, None
        self._place.objects = []
        self.card.visible = result is not None
        columns = [] if result is None else compute.sortable_columns(result)
        kept = self.by.value if self.by.value in columns else _AS_FOUND
        self.by.param.update(options=[_AS_FOUND, *columns], value=kept)
        self.select(None)

    def select(self, selected: NDArray[np.bool_] | None) -> None:
        """List these rows only, or with None all of them."""
        self._selected = selected
        everything = 0 if self._result is None else len(self._result)
        self._row_count = everything if selected is None else int(selected.sum())
        self._list_anew()

    @property
    def sort(self) -> tuple[str, bool] | None:
        """Column by which rows are listed, and whether the largest come first; None as they came."""
        return None if self.by.value == _AS_FOUND else (self.by.value, self.direction.value == _FALLING)

    def sort_by(self, column: str, *, falling: bool) -> bool:
        """List rows in the order of a column; False if the result has none of this name."""
        if column not in self.by.options:
            return False
        self.direction.value, self.by.value = _FALLING if falling else _RISING, column
        return True

    @property
    def frame(self) -> pd.DataFrame | None:
        """The rows on the page; None before they are there."""
        return None if self._rows is None else self._rows.value

    def _make_widgets(self) -> None:
        choice: dict[str, Any] = {"stylesheets": [stylesheet()], "margin": (0, 6, 0, 0)}
        self.by = pn.widgets.Select(label="Sort by", options=[_AS_FOUND], width=176, **choice)
        self.direction = pn.widgets.Select(label="Order", options=[_RISING, _FALLING], width=110, **choice)
        for widget in (self.by, self.direction):
            widget.param.watch(lambda _: self._turn(self._list_anew), "value")
        steps: dict[str, Callable[[], int]] = {
            "First": lambda: 0,
            "Previous": lambda: self._first - PAGE_ROWS,
            "Next": lambda: self._first + PAGE_ROWS,
            "Last": lambda: self._last_page,
        }
        self.turns = {
            name: button(name, partial(self._take, to), turn=self._turn, classes=["turn-page"], gap=2)
            for name, to in steps.items()
        }
        self.place = pn.pane.HTML("", stylesheets=[stylesheet()], margin=(0, 6))

    def _take(self, step: Callable[[], int]) -> None:
        self._turn_to(step())

    @property
    def _last_page(self) -> int:
        return max(0, (self._row_count - 1) // PAGE_ROWS * PAGE_ROWS)

    def _list_anew(self) -> None:
        self._version += 1
        self._order = _Order(-1, None)
        self._turn_to(0)

    def _turn_to(self, first: int) -> None:
        self._first = min(max(0, first), self._last_page)
        result = self._result
        if result is None:
            return
        version, known, selected, first = self._version, self._order, self._selected, self._first
        by = None if self.by.value == _AS_FOUND else self.by.value
        is_falling = self.direction.value == _FALLING

        def cut() -> _Page:
            order = known
            if known.version != version:
                order = _Order(version, compute.row_order(result, selected, by=by, falling=is_falling))
            return _Page(order, first, compute.table_page(result, order.rows, first=first, count=PAGE_ROWS))

        self._pages.ask(cut, self._show_page, _raise)

    def _show_page(self, page: _Page) -> None:
        if page.order.version != self._version or self._result is None:
            return
        self._order = page.order
        if self._rows is None:
            self._rows = _tabulator(page.frame, self._result.columns)
            self._place.objects = [self._rows]
        else:
            self._rows.value = page.frame
        last = page.first + len(page.frame)
        rows = f"Rows {page.first + 1:,} to {last:,} of {self._row_count:,}" if last else "No rows"
        self.place.object = f'<p class="page-place" role="status">{rows}</p>'
        for name in ("First", "Previous"):
            self.turns[name].disabled = page.first == 0
        for name in ("Next", "Last"):
            self.turns[name].disabled = last >= self._row_count


def _tabulator(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pn.widgets.Tabulator:
    return pn.widgets.Tabulator(
        frame,
        disabled=True,
        sortable=False,
        theme="simple",
        layout="fit_data_fill",
        header_tooltips={column.name: _hint(column) for column in columns},
        titles={column.name: _title(column) for column in columns},
        sizing_mode="stretch_width",
        stylesheets=[stylesheet()],
        selectable=False,
        margin=0,
    )


def _title(column: Column) -> str:
    return f"{column.name} [{column.unit}]" if column.unit else column.name


def _hint(column: Column) -> str:
    return ". ".join(part for part in (column.description, f"UCD {column.ucd}" if column.ucd else None) if part)


def _raise(error: BaseException) -> None:
    raise error
