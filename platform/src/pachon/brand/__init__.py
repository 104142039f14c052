"""Colours, fonts and marks that every page shares."""
