"""Alembic's entry: runs the migrations in the transaction that `state.database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from pachon.state.database import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
