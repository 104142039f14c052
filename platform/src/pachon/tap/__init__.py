"""Table Access Protocol 1.1 (IVOA REC 2019-09-27)."""
