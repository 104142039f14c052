"""JupyterHub, embedded: its configuration, demo accounts, roles, labs, pages and the proxy in front of everything."""

NEVER_ASKED = ("rfc3987_syntax",)
"""Checks international addresses in JSON schemas, which no schema of Jupyter's programs asks for. Its grammar takes a
second to build at import; the package that would use it takes its absence as it is."""
