"""Google Cloud clients, credentials and errors."""
