"""Pachon in JupyterLab: its doors in the menu, its tutorials in every home."""

from __future__ import annotations

from typing import Any

from pachon_lab.extension import load

__version__ = "0.1.0"

_load_jupyter_server_extension = load


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "pachon_lab"}]


def _jupyter_labextension_paths() -> list[dict[str, Any]]:
    return [{"src": "labextension", "dest": "pachon-lab"}]
