"""Helpers of several test folders: local servers, generated files, and the harness that runs the platform."""
