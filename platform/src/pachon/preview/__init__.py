"""Builds the default data: real catalogues with their sources and licences."""
