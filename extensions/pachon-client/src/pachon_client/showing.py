"""The Portal in a notebook: a link, and the page itself where it may be framed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape

import httpx

_TIMEOUT_S = 3.0
_HEIGHT_PX = 640


@dataclass(frozen=True, slots=True)
class PortalPage:
    """A page of the Portal, to be shown as the value of a cell; elsewhere it is its address.

    Parameters
    ----------
    name
        Name of the query.
    address
        Address of the page.
    is_framed
        Whether a notebook shows the page itself below the link.
    """

    name: str
    address: str
    is_framed: bool

    def _repr_html_(self) -> str:
        told, address = escape(f"Open “{self.name}” in the Portal"), escape(self.address)
        link = f'<p><a href="{address}" target="_blank" rel="noopener">{told}</a></p>'
        style = f"width:100%;height:{_HEIGHT_PX}px;border:0"
        frame = f'<iframe src="{address}" title="{escape(self.name)} in the Portal" style="{style}"></iframe>'
        return link + frame if self.is_framed else link

    def __repr__(self) -> str:
        return self.address


def portal_page(name: str, address: str) -> PortalPage:
    """A page that is framed in labs of the platform, whose browsers are logged in, if its headers let it be."""
    is_lab = bool(os.environ.get("JUPYTERHUB_SERVICE_PREFIX"))
    return PortalPage(name, address, is_lab and _may_be_framed(address))


def _may_be_framed(address: str) -> bool:
    """Whether neither `X-Frame-Options` (RFC 7034) nor `frame-ancestors` (CSP 3, section 6.4.2) forbids it."""
    try:
        headers = httpx.get(address, timeout=_TIMEOUT_S).headers
    except httpx.HTTPError:
        return False
    policy = headers.get("Content-Security-Policy", "")
    is_forbidden = any(part.split() == ["frame-ancestors", "'none'"] for part in policy.split(";"))
    return not is_forbidden and headers.get("X-Frame-Options", "").upper() != "DENY"
