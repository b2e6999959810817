"""Where trips are loaded to: one folder for each destination, listed in `registry`."""
