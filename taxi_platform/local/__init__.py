"""A laptop in place of servers: the embedded PostgreSQL, Dagster's instance, and emulators of Google Cloud."""
