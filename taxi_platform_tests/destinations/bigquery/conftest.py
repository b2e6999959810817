"""The BigQuery destination's tests use the fixtures for Google Cloud."""

from taxi_platform_tests.support.google_fixtures import *  # noqa: F403
