"""Simple Cone Search 1.03 (IVOA REC 2008-02-22)."""
