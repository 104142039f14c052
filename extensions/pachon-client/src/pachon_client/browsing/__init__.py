"""Browse rows in a notebook: table, map and plot, linked by one selection."""

from pachon_client.browsing.browser import Browser

__all__ = ["Browser"]
