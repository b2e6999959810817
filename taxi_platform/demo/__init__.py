"""`make demo` and `make demo-gcp`: generated sample data, loaded through the assets."""
