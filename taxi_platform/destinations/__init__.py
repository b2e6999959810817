"""The destinations that trips are loaded to, one folder each, listed in `registry`."""
