"""The products pipeline, run by Dagster against a local API."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from taxi_platform.demo.sample_products import TOTAL, sample_page
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.json_files import JsonFiles
from taxi_platform.getting_started.products import products, products_by_brand, products_raw
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform_tests.support.api_server import ApiRequest, ApiResponse, api_server

ASSETS = [products_raw, products, products_by_brand]


class Pipeline:
    """The three assets, their files below `folder`, and the API's next response."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "products"
        self.database = folder / "products.duckdb"
        self.url = ""
        self.response: ApiResponse | None = None

    def respond(self, request: ApiRequest) -> ApiResponse:
        return self.response or ApiResponse(sample_page(int(request.query.get("skip", 0))))

    def run(self, *selected: dg.AssetsDefinition, **configs: dict[str, Any]) -> dg.ExecuteInProcessResult:
        """Materialize the selected assets, or all three, with the configuration of each by name."""
        return dg.materialize(
            ASSETS,
            selection=list(selected or ASSETS),
            resources={
                "products_api": ProductsApi(url=self.url, timeout=60),
                "json_files": JsonFiles(folder=str(self.files)),
                "products_duckdb": DuckDBFile(database=str(self.database)),
            },
            run_config={"ops": {name: {"config": config} for name, config in configs.items()}},
            raise_on_error=False,
        )

    def table(self) -> list[tuple[str, float | None]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute("from products_by_brand").fetchall()


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path / "data")
    with api_server(pipeline.respond) as server:
        pipeline.url = server.url
        yield pipeline


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def preview(result: dg.ExecuteInProcessResult, asset: str) -> list[dict[str, Any]]:
    table = metadata(result, asset)["preview"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Return the error message of the only failed step."""
    (step,) = result.get_failed_step_keys()
    data = result.failure_data_for_node(step)
    assert data
    assert data.user_failure_data
    return data.user_failure_data.description or ""


def means(items: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Compute the expected table without pandas and DuckDB."""
    prices: dict[str, list[float]] = defaultdict(list)
    for item in items:
        prices[item.get("brand", "N/A")].append(item["price"])
    rows = [(brand, round(sum(values) / len(values), 2)) for brand, values in prices.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def test_table_has_mean_price_of_each_brand(pipeline: Pipeline) -> None:
    result = pipeline.run()
    assert result.success
    expected = means(sample_page()["products"])
    assert pipeline.table() == expected
    assert [tuple(row.values()) for row in preview(result, "products_by_brand")] == expected
    rows = [metadata(result, asset.key.to_user_string())["dagster/row_count"] for asset in ASSETS]
    assert rows == [30, 30, 7]
    assert metadata(result, "products")["dagster/uri"] == (pipeline.files / "products.json").as_uri()


def test_all_pages_are_fetched_when_configured(pipeline: Pipeline) -> None:
    result = pipeline.run(products_raw, products_raw={"all_pages": True})
    assert metadata(result, "products_raw")["dagster/row_count"] == TOTAL


def test_missing_values_become_not_available(pipeline: Pipeline) -> None:
    pipeline.response = ApiResponse({"products": [{"brand": "A", "price": 2}, {"brand": None}, {"id": 3}]})
    result = pipeline.run()
    assert preview(result, "products") == [{"brand": "A", "price": 2}] + 2 * [{"brand": "N/A", "price": "N/A"}]
    assert pipeline.table() == [("A", 2.0), ("N/A", None)]
    assert preview(result, "products_by_brand")[1] == {"brand": "N/A", "avg_price": None}


def test_missing_price_among_many_products_is_left_out(pipeline: Pipeline) -> None:
    """DuckDB chooses a column's type from a sample of the DataFrame's rows."""
    pipeline.response = ApiResponse({"products": [{"brand": "A", "price": 1.5}] * 3000 + [{"brand": "A"}]})
    pipeline.run()
    assert pipeline.table() == [("A", 1.5)]


def test_no_price_at_all_lists_brands_without_mean(pipeline: Pipeline) -> None:
    pipeline.response = ApiResponse({"products": [{"brand": "B"}, {"brand": "A"}]})
    pipeline.run()
    assert pipeline.table() == [("A", None), ("B", None)]


def test_means_are_rounded_to_cents(pipeline: Pipeline) -> None:
    pipeline.response = ApiResponse({"products": [{"brand": "A", "price": price} for price in (1, 1, 2)]})
    pipeline.run()
    assert pipeline.table() == [("A", 1.33)]


def test_other_columns_are_kept_when_configured(pipeline: Pipeline) -> None:
    columns = ["title", "price", "brand", "reviews"]
    product = {"id": 1, "title": "Pear", "price": 0.99, "brand": "A", "reviews": [{"rating": 5}]}
    pipeline.response = ApiResponse({"products": [product]})
    result = pipeline.run(products={"columns_to_keep": [*columns, "brand"]})
    schema = metadata(result, "products")["dagster/column_schema"]
    assert [column.name for column in schema.columns] == columns
    assert preview(result, "products") == [
        {"title": "Pear", "price": 0.99, "brand": "A", "reviews": "[{'rating': 5}]"},
    ]
    assert json.loads((pipeline.files / "products.json").read_bytes())[0]["reviews"] == [{"rating": 5}]
    assert pipeline.table() == [("A", 0.99)]


def test_column_that_no_product_has_is_a_warning(pipeline: Pipeline) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline.run(products_raw)
        result = dg.materialize(
            ASSETS,
            selection=[products],
            resources={
                "products_api": ProductsApi(),
                "json_files": JsonFiles(folder=str(pipeline.files)),
                "products_duckdb": DuckDBFile(),
            },
            run_config={"ops": {"products": {"config": {"columns_to_keep": ["brand", "colour"]}}}},
            instance=instance,
        )
        logs = [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]
    assert logs == ["No product has a column 'colour'."]
    assert {row["colour"] for row in preview(result, "products")} == {"N/A"}


def test_missing_price_column_is_named(pipeline: Pipeline) -> None:
    result = pipeline.run(products={"columns_to_keep": ["title", "brand"]})
    assert result.get_failed_step_keys() == {"products_by_brand"}
    assert "has no column price" in failure(result)


def test_empty_list_of_columns_is_refused(pipeline: Pipeline) -> None:
    assert not pipeline.run(products={"columns_to_keep": []}).success
    assert not (pipeline.files / "products.json").exists()


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (ApiResponse(b"<html>Down for maintenance</html>"), "is not JSON"),
        (ApiResponse({"products": [{"brand": "A", "price": "9.99"}]}), "a price that is not a number"),
        (ApiResponse(b"", 500), "responded 500"),
    ],
)
def test_bad_response_keeps_last_valid_table(response: ApiResponse, words: str, pipeline: Pipeline) -> None:
    pipeline.run()
    before = pipeline.table()
    pipeline.response = response
    result = pipeline.run()
    assert result.get_failed_step_keys() == {"products_raw"}
    assert words in failure(result)
    assert pipeline.table() == before
    # The last valid response is kept too, so the table can be created from it.
    assert pipeline.run(products, products_by_brand).success
    assert pipeline.table() == before


def test_real_response_becomes_table(pipeline: Pipeline, real_files: Path) -> None:
    file = real_files.parent / "products" / "products.json"
    if not file.exists():
        pytest.skip(f"no real response of the products API: {file} does not exist")
    pipeline.url = file.as_uri()
    assert pipeline.run().success
    assert pipeline.table() == means(json.loads(file.read_bytes())["products"])
