"""Analytics on the loaded trips: dbt's marts in every destination, TLC's zones, and the report."""
