"""The tests of Google Cloud's clients use the fixtures for Google Cloud."""

from taxi_platform_tests.support.google_fixtures import *  # noqa: F403
