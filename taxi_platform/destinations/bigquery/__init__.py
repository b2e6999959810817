"""The BigQuery destination: bucket, external table, monthly table, merged table."""
