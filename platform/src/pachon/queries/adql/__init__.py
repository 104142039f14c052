"""ADQL 2.1: parse, check and bind to a typed plan. No engine is named here."""
