"""Programs that only a deployment runs."""
