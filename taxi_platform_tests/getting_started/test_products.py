"""The products pipeline and the two statistics, run as Dagster runs them, against local servers."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import duckdb
import pytest

from taxi_platform.demo.sample_products import TOTAL, sample_page
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.json_files import JsonFiles
from taxi_platform.getting_started.products import products, products_by_brand, products_raw
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform.getting_started.statistics import docker_image_pulls, github_stars
from taxi_platform_tests.support.api_server import Answer, ApiServer, Asked, api_server

SECRET = "hidden-path-of-the-chat"


class Api:
    """What the local server answers; a test changes it between runs."""

    def __init__(self) -> None:
        self.products: Answer | None = None
        self.release = Event()
        self.pulls = 100
        self.stars = 10
        self.heard: list[bytes] = []
        self.chat = Answer(b"ok")

    def answer(self, asked: Asked) -> Answer:
        if asked.path == f"/{SECRET}":
            self.heard.append(asked.body)
            return self.chat
        if asked.path == "/silence":
            self.release.wait(30)
        if asked.path == "/fault":
            return Answer(b"", 500)
        if asked.path.startswith("/repositories/"):
            return Answer({"pull_count": self.pulls})
        if asked.path.startswith("/repos/"):
            return Answer({"stargazers_count": self.stars})
        return self.products or Answer(sample_page(int(asked.query.get("skip", 0))))


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def server(api: Api) -> Iterator[ApiServer]:
    with api_server(api.answer) as running:
        yield running
        api.release.set()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "home" / "products.duckdb"


def pipeline(
    url: str,
    home: Path,
    *selected: dg.AssetsDefinition,
    config: dict[str, Any] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """One run of the selected products assets, all three when none is named."""
    return dg.materialize(
        [products_raw, products, products_by_brand],
        selection=list(selected or (products_raw, products, products_by_brand)),
        resources={
            "products_api": ProductsApi(url=url, timeout=0.3),
            "json_files": JsonFiles(folder=str(home / "products")),
            "products_duckdb": DuckDBFile(database=str(home / "products.duckdb")),
        },
        run_config={"ops": {name: {"config": value} for name, value in (config or {}).items()}},
        instance=instance,
        raise_on_error=False,
    )


def table(database: Path) -> list[tuple[str, float]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute("from products_by_brand").fetchall()


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def preview(result: dg.ExecuteInProcessResult, asset: str) -> list[dict[str, Any]]:
    """The rows that the web interface shows."""
    table = metadata(result, asset)["preview"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """The words with which the one failed step ended."""
    (event,) = result.get_failed_step_keys()
    data = result.failure_data_for_node(event)
    assert data
    assert data.user_failure_data
    return data.user_failure_data.description or ""


def means(items: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """The expected table, computed here without DuckDB."""
    prices: dict[str, list[float]] = defaultdict(list)
    for item in items:
        prices[item.get("brand", "N/A")].append(item["price"])
    rows = [(brand, round(sum(values) / len(values), 2)) for brand, values in prices.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def test_the_first_page_becomes_the_table_of_means_dearest_first(
    server: ApiServer, tmp_path: Path, database: Path
) -> None:
    result = pipeline(server.url, database.parent)
    assert result.success
    expected = means(sample_page()["products"])
    assert table(database) == expected
    assert len(expected) == 7
    shown = metadata(result, "products_by_brand")
    assert shown["dagster/row_count"] == 7
    assert [tuple(row.values()) for row in preview(result, "products_by_brand")] == expected
    assert metadata(result, "products_raw")["dagster/row_count"] == 30
    assert metadata(result, "products")["dagster/uri"] == (database.parent / "products" / "products.json").as_uri()


def test_all_pages_when_asked(server: ApiServer, database: Path) -> None:
    result = pipeline(server.url, database.parent, config={"products_raw": {"all_pages": True}})
    assert metadata(result, "products_raw")["dagster/row_count"] == TOTAL
    items = [item for skip in (0, 30, 60) for item in sample_page(skip)["products"]]
    assert table(database) == means(items)


def test_a_product_gets_not_available_for_what_it_lacks(server: ApiServer, api: Api, database: Path) -> None:
    api.products = Answer({"products": [{"id": 1, "brand": "A", "price": 2}, {"id": 2, "brand": None}, {"id": 3}]})
    result = pipeline(server.url, database.parent)
    assert preview(result, "products") == [{"brand": "A", "price": 2}] + 2 * [{"brand": "N/A", "price": "N/A"}]
    assert table(database) == [("A", 2.0), ("N/A", None)]


def test_means_are_rounded_to_cents(server: ApiServer, api: Api, database: Path) -> None:
    api.products = Answer({"products": [{"brand": "A", "price": price} for price in (1, 1, 2)]})
    pipeline(server.url, database.parent)
    assert table(database) == [("A", 1.33)]


def test_other_columns_are_kept_when_asked(server: ApiServer, database: Path) -> None:
    config = {"products": {"columns_to_keep": ["title", "price", "brand", "colour"]}}
    result = pipeline(server.url, database.parent, config=config)
    shown = metadata(result, "products")
    assert [column.name for column in shown["dagster/column_schema"].columns] == config["products"]["columns_to_keep"]
    assert preview(result, "products")[0] == {
        "title": "Sample product 1",
        "price": 0.99,
        "brand": "Aldergrove",
        "colour": "N/A",
    }
    assert table(database) == means(sample_page()["products"])


def test_columns_that_the_mean_needs_are_named_when_they_are_missing(server: ApiServer, database: Path) -> None:
    result = pipeline(server.url, database.parent, config={"products": {"columns_to_keep": ["title", "brand"]}})
    assert result.get_failed_step_keys() == {"products_by_brand"}
    assert "made without price" in failure(result)


def test_no_column_at_all_is_refused_before_the_run(server: ApiServer, database: Path) -> None:
    result = pipeline(server.url, database.parent, config={"products": {"columns_to_keep": []}})
    assert not result.success
    assert not (database.parent / "products" / "products.json").exists()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"<html>Down for maintenance</html>"), "not JSON"),
        (Answer({"message": "no"}), "no list `products`"),
        (Answer({"products": [{"brand": "A", "price": "9.99"}]}), "a price that is not a number"),
        (Answer(b"", 404), "responded 404"),
    ],
)
def test_a_bad_answer_is_told_and_keeps_the_last_good_table(
    answer: Answer, words: str, server: ApiServer, api: Api, database: Path
) -> None:
    pipeline(server.url, database.parent)
    before = table(database)
    api.products = answer
    result = pipeline(server.url, database.parent)
    assert result.get_failed_step_keys() == {"products_raw"}
    assert words in failure(result)
    assert table(database) == before
    # What was fetched last is good still: the table can be made again from it.
    assert pipeline(server.url, database.parent, products, products_by_brand).success
    assert table(database) == before


@pytest.mark.parametrize(
    ("path", "words"), [("/silence", "did not respond within 0.3 seconds"), ("/fault", "responded 500")]
)
def test_a_transient_failure_is_retried_then_told_and_keeps_the_last_good_table(
    path: str, words: str, server: ApiServer, database: Path
) -> None:
    pipeline(server.url, database.parent)
    before = table(database)
    result = pipeline(f"{server.url}{path}", database.parent)
    assert words in failure(result)
    assert [asked.path for asked in server.asked].count(path) == 3
    assert table(database) == before


@pytest.mark.parametrize("asset", [products_raw, docker_image_pulls, github_stars])
def test_whatever_asks_an_api_retries_with_backoff(asset: dg.AssetsDefinition) -> None:
    policy = asset.op.retry_policy
    assert policy
    assert (policy.max_retries, policy.backoff) == (2, dg.Backoff.EXPONENTIAL)


@pytest.mark.parametrize(
    "asset", [products_raw, products, products_by_brand, docker_image_pulls, github_stars], ids=lambda asset: asset.key
)
def test_the_web_interface_is_told_what_each_asset_is(asset: dg.AssetsDefinition) -> None:
    (spec,) = asset.specs
    assert spec.description
    assert spec.group_name == "getting_started"
    assert spec.owners == ["team:taxi-platform"]
    assert spec.kinds
    assert spec.code_version
    assert spec.metadata.keys() & {"dagster/uri", "dagster/table_name"}
    assert "dagster/column_schema" in spec.metadata
