"""When months are loaded: jobs, schedules, sensors, backfills, freshness, purge."""
