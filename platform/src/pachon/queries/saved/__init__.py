"""Saved queries: named, versioned, shared things that point at runs and keep what a person did with the rows."""
