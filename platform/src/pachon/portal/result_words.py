"""A result in words: what was found, what is selected, what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pachon_client import Result


def summary_html(result: Result, *, max_rows: int, seconds: float) -> str:
    """How many rows there are, whether there are more, and what the platform says of the query."""
    rows = f"{len(result):,} row{'' if len(result) == 1 else 's'}"
    text = f'<p class="result-count"><strong>{rows}</strong> <span class="muted">in {seconds:.2f} s</span></p>'
    if result.overflow:
        text += (
            '<p class="banner banner-warning" role="status"><strong>There are more.</strong> <span>These are the first '
            f"{len(result):,}: the limit was {max_rows:,} rows. "
            "Raise it beside the search button, or ask for less.</span></p>"
        )
    for warning in result.warnings:
        text += f'<p class="banner banner-warning" role="status">{escape(warning)}</p>'
    if not len(result):
        text += '<p class="banner" role="status">Nothing matches. Try a larger radius, or another catalogue.</p>'
    return text


def selection_html(selected: NDArray[np.bool_] | None, *, row_count: int) -> str:
    """How many rows are selected of those that pass the filters, or how to select."""
    if selected is None:
        return (
            '<span class="muted">Pick rows: draw a box in the left plot, or with Select on the map, '
            "or type a range below a plot.</span>"
        )
    return f"{int(selected.sum()):,} of {row_count:,} rows selected"


def question_html(adql: str, downloads: Mapping[str, str]) -> str:
    """The text of the query, and its rows to download; `downloads` are their addresses by format."""
    links = "".join(
        f'<a class="button button-small button-quiet" href="{escape(address)}" download>Download {escape(title)}</a>'
        for title, address in downloads.items()
    )
    return (
        f'<div class="question"><div class="downloads">{links}</div>'
        f'<details><summary>The query</summary><pre class="copy" tabindex="0">{escape(adql)}</pre></details></div>'
    )
