"""The PostgreSQL destination."""
