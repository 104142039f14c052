"""The state database: engines, migrations, and the outbox of events that other processes must see within a second."""
