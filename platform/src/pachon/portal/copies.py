"""A saved query as lines for other tools."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from pachon_client.snippets import snippets

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOLD = {"python": "Python", "pyvo": "pyvo", "topcat": "TOPCAT and STILTS"}


def copies_html(query: Mapping[str, Any], address: str, *, api_url: str) -> str:
    """What asks the same in other tools, folded, each to be selected as a whole.

    Parameters
    ----------
    query
        Document of a saved query.
    address
        By which its reader opens it: its id or a link.
    api_url
        Public address of the Web APIs.
    """
    lines = snippets(query, api_url, address)
    return "".join(
        f'<details><summary>For {tool}</summary><pre class="copy" tabindex="0">{escape(lines[name])}</pre></details>'
        for name, tool in _TOLD.items()
    )
