"""The report: one HTML page and a picture of what a destination's marts hold."""
