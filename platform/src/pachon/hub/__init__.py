"""JupyterHub glue: configuration, demo accounts, pages."""
