"""Which program asks: the name that people know, from the header `User-Agent`."""

from __future__ import annotations

import re

_KNOWN = (
    ("pachon-portal", "Portal"),
    ("pachon-lab", "JupyterLab"),
    ("pachon-client", "pachon_client"),
    ("topcat", "TOPCAT"),
    ("stilts", "STILTS"),
    ("stil/", "STIL"),
    ("astroquery", "astroquery"),
    ("pyvo", "pyvo"),
    ("mozilla/", "browser"),
)
"""What a header holds, in lower case, and whose it is; the first that is found counts."""
_PRODUCT = re.compile(r"[A-Za-z][\w .+-]{0,39}")


def client_of(user_agent: str) -> str:
    """The name of a program: TOPCAT, STILTS, pyvo, Portal, browser; else the first product named, or nothing.

    Parameters
    ----------
    user_agent
        Products with versions and comments (RFC 9110, section 10.1.5).
    """
    lower = user_agent[:1_000].lower()
    known = next((name for mark, name in _KNOWN if mark in lower), None)
    if known is not None:
        return known
    product = _PRODUCT.match(user_agent.partition("/")[0])
    return product.group().strip() if product else ""
