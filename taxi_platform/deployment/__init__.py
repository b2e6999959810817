"""What only a deployment runs."""
