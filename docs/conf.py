"""Sphinx settings. Warnings are errors (`make docs`)."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import pachon  # noqa: E402 -- after the path

project = "Pachon"
author = "The Pachon developers"
copyright = "2026, the Pachon developers"
release = version = pachon.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "_ext.notebooks",
    "_ext.reference",
]
exclude_patterns = ["_build", "_ext"]
default_role = "code"
suppress_warnings = ["myst.strikethrough"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
napoleon_google_docstring = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "Pachon"
html_logo = html_favicon = str(Path(pachon.__file__).with_name("brand") / "logo.svg")
html_static_path = ["_static"]
html_css_files = ["handbook.css"]
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#2f45b8",
        "color-brand-content": "#2f45b8",
        "color-background-secondary": "#f5f7fb",
    },
    "dark_css_variables": {
        "color-brand-primary": "#a9baff",
        "color-brand-content": "#a9baff",
        "color-background-primary": "#0a0f1f",
        "color-background-secondary": "#111830",
    },
    "footer_icons": [],
}
