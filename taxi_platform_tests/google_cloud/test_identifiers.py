"""Names that become part of statements."""

from collections.abc import Callable

import pytest

from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.identifiers import (
    TableName,
    identifier,
    valid_bucket,
    valid_dataset,
    valid_location,
    valid_project,
)


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (valid_project, "my-project"),
        (valid_project, "example.com:my-project"),
        (valid_dataset, "zoomcamp_2"),
        (valid_bucket, "taxi.trips-1"),
        (valid_location, "us-central1"),
    ],
)
def test_valid_name_is_returned(check: Callable[[str], str], name: str) -> None:
    assert check(name) == name


@pytest.mark.parametrize(
    ("check", "name", "setting"),
    [
        (valid_project, "My Project", "GCP_PROJECT_ID"),
        (valid_project, "p`; drop", "GCP_PROJECT_ID"),
        (valid_dataset, "zoom-camp", "GCP_DATASET"),
        (valid_bucket, "ab", "GCP_BUCKET_NAME"),
        (valid_location, "", "GCP_LOCATION"),
    ],
)
def test_error_names_the_setting(check: Callable[[str], str], name: str, setting: str) -> None:
    with pytest.raises(BadSetting, match=f"^{setting} is not"):
        check(name)


def test_dataset_error_proposes_a_valid_name() -> None:
    with pytest.raises(BadSetting, match="for example my_trips"):
        valid_dataset("my-trips")


@pytest.mark.parametrize("name", ["", "1st", "a b", "a`b", "a" * 301])
def test_other_text_is_no_identifier(name: str) -> None:
    with pytest.raises(ValueError, match="not a table or column name"):
        identifier(name)


def test_table_name_is_quoted_and_validated() -> None:
    assert TableName("p-1", "trips", "green").sql == "`p-1.trips.green`"
    with pytest.raises(BadSetting):
        _ = TableName("p-1", "a`b", "green").sql
