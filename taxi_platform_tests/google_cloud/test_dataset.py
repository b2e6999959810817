"""The dataset: its creation, statements, and names that become part of statements."""

import json

import pytest

from taxi_platform.errors import BadSetting, MissingRight
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset, Dates, ensure_dataset
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform_tests.support.unreliable_google import Request, UnreliableGoogle, error


def runs_a_statement(request: Request) -> bool:
    return bool(request.statement)


def creates_a_dataset(request: Request) -> bool:
    return request.method == "POST" and "/datasets?" in request.path


def test_missing_dataset_is_created_in_the_location(cloud: GoogleCloud, bigquery_front: UnreliableGoogle) -> None:
    dataset, created = ensure_dataset(cloud)
    assert (dataset.location, created) == ("us-central1", True)
    (sent,) = [json.loads(request.body) for request in bigquery_front.requests if creates_a_dataset(request)]
    assert sent["location"] == "us-central1"
    bigquery_front.requests.clear()
    assert not ensure_dataset(cloud)[1]
    assert [request.statement for request in bigquery_front.requests if request.method != "GET"] == ["SELECT 1"]


@pytest.mark.parametrize(("name", "message"), [("my-data", "my_data"), ("a b", "a_b"), ("d`; DROP", "no hyphen")])
def test_invalid_dataset_name_is_refused_at_once(name: str, message: str) -> None:
    with pytest.raises(BadSetting, match=message):
        ensure_dataset(GoogleCloud(project="p-1", dataset=name, bigquery_endpoint="http://127.0.0.1:1"))


@pytest.mark.parametrize("when", [runs_a_statement, creates_a_dataset])
def test_missing_roles_are_named(cloud: GoogleCloud, bigquery_front: UnreliableGoogle, when) -> None:
    bigquery_front.fail(1, error(403, "accessDenied", "Access Denied: User does not have the permission"), when)
    with pytest.raises(MissingRight, match=r"(?s)Access Denied.*Grant the account roles/bigquery.user"):
        ensure_dataset(cloud)


def test_dataset_in_another_location_is_an_error(cloud: GoogleCloud) -> None:
    ensure_dataset(cloud)
    elsewhere = GoogleCloud(**{**cloud.model_dump(), "location": "EU"})
    with pytest.raises(BadSetting, match="is us-central1, and GCP_LOCATION is EU"):
        ensure_dataset(elsewhere)


def test_statement_takes_one_request(dataset: Dataset, bigquery_front: UnreliableGoogle) -> None:
    bigquery_front.requests.clear()
    assert dataset.run(Sql("SELECT 7 AS n"), {}) == [{"n": 7}]
    assert len(bigquery_front.requests) == 1


def test_values_are_query_parameters(dataset: Dataset) -> None:
    assert dataset.run(Sql("SELECT @text AS text"), {}, text="'; DROP TABLE x") == [{"text": "'; DROP TABLE x"}]
    assert dataset.run(Sql("SELECT ARRAY_LENGTH(@days) AS n"), {}, days=Dates()) in ([{"n": 0}], [{"n": None}])
    assert dataset.run(Sql("SELECT ARRAY_LENGTH(@names) AS n"), {}, names=["a", "b"]) == [{"n": 2}]


def test_table_names_are_validated(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="not a table or column name"):
        _ = dataset.table_name("trips`; DROP TABLE x; --").sql
