"""What a machine without servers runs: the embedded PostgreSQL, Dagster's instance, emulators of Google Cloud."""
