"""Alembic migrations, run by `state.database.migrate`. Rules: see there."""
