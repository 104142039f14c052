"""Builds the data there are: real catalogues with their sources and licences."""
