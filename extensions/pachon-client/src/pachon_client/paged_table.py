"""Rows in a notebook, a page at a time."""

from __future__ import annotations

from typing import Any

from pachon_client.result import Result

_PAGE_ROWS = 20
_PLAIN, _HTML, _WIDGET = "text/plain", "text/html", "application/vnd.jupyter.widget-view+json"


class PagedTable:
    """Shows a result: with buttons that turn pages where ipywidgets are, else its first page.

    A notebook that was saved and is opened without its kernel shows the first page too.

    Parameters
    ----------
    result
        The rows.
    caption
        A line above them.
    page_rows
        Rows of a page.
    """

    def __init__(self, result: Result, caption: str = "", *, page_rows: int = _PAGE_ROWS) -> None:
        self.result = result
        self.caption = caption
        self.page_rows = page_rows

    @property
    def page_count(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-len(self.result) // self.page_rows))

    def page(self, number: int) -> str:
        """HTML of one page, counted from 0; beyond the last it is the last."""
        first = min(max(0, number), self.page_count - 1) * self.page_rows
        return self.result.to_html(first, self.page_rows, caption=self.caption)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        bundle: dict[str, Any] = {_PLAIN: repr(self.result), _HTML: self.page(0)}
        if self.page_count > 1 and (view := self._widget_view()) is not None:
            bundle[_WIDGET] = view
        return bundle

    def _widget_view(self) -> dict[str, Any] | None:
        try:
            import ipywidgets  # noqa: PLC0415 -- optional
        except ImportError:
            return None
        widget = self.widget(ipywidgets)
        return {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}

    def widget(self, widgets: Any) -> Any:  # noqa: ANN401 -- ipywidgets is optional
        """The table with a slider and buttons for its pages, as a widget of the given module ipywidgets."""
        rows = widgets.HTML(self.page(0))
        place = widgets.BoundedIntText(value=1, min=1, max=self.page_count, layout={"width": "6em"})
        back, forth = (widgets.Button(description=text, layout={"width": "6em"}) for text in ("Previous", "Next"))

        def turn(change: dict[str, Any]) -> None:
            rows.value = self.page(change["new"] - 1)

        def step(by: int) -> None:
            place.value = min(max(1, place.value + by), self.page_count)

        place.observe(turn, "value")
        back.on_click(lambda _: step(-1))
        forth.on_click(lambda _: step(1))
        return widgets.VBox([widgets.HBox([back, place, widgets.Label(f"of {self.page_count:,}"), forth]), rows])
