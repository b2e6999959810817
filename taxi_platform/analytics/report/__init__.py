"""The report on a destination's marts: one HTML page and a picture."""
