"""Pre-flight estimates: what a query will read, return and take, before it is run."""
