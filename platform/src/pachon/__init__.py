"""Pachon: an open science platform for a sky survey.

A person asks through an *aspect* (Portal, Lab or Web API); a *capability* checks *rights*, reads *releases*,
and keeps the answer as something every other aspect can open.
"""

__version__ = "0.1.0"
