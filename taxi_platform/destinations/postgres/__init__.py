"""The PostgreSQL destination: a partition of `<colour>_tripdata` for each month."""
