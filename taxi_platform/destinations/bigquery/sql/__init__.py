"""BigQuery statements, one file each."""
