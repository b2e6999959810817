"""Each test has a bucket and a dataset of its own in the emulators."""

from taxi_platform_tests.destinations.bigquery.conftest import *  # noqa: F403
