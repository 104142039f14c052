"""The state database: engine, migrations and the event outbox."""
