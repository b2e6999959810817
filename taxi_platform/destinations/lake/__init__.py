"""The Parquet lake: one file for each colour and month, in a folder that all runs share, queried with DuckDB."""
