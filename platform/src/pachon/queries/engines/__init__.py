"""Engines: a typed plan in, Arrow batches out."""
