"""Jobs, schedules, sensors, backfills, freshness checks, reconciliation and the purge of downloaded files."""
