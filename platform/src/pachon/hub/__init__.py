"""JupyterHub, embedded: its configuration, demo accounts, roles, labs, pages and the proxy in front of everything."""
