"""The products pipeline: three assets.

products_raw ──► products ──► products_by_brand
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from taxi_platform.errors import BadSetting
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.products_api import Product, ProductsApi
from taxi_platform.trips.trip_asset import OWNERS, retries

GROUP = "getting_started"
RETRIES = retries(1, times=2)

LACKING = "N/A"
"""Stands for what a product does not have."""
PREVIEW = 20
"""Rows that the metadata shows."""

PRODUCT_FIELDS = {
    "id": ("integer", "The product's number."),
    "title": ("string", "The product's name."),
    "category": ("string", "What kind of product it is."),
    "brand": ("string", "Who makes it; about half of the products have none."),
    "price": ("number", "Price in US dollars."),
    "rating": ("number", "Mean of the buyers' ratings, from 1 to 5."),
    "stock": ("integer", "Pieces in stock."),
}
"""The API's fields that are worth a description; others are kept as they come."""


class Pages(dg.Config):
    """How much of the API's answer is fetched."""

    all_pages: bool = Field(False, description="All pages; without it the first one, 30 products.")


class Columns(dg.Config):
    """What is kept of a product."""

    columns_to_keep: list[str] = Field(["brand", "price"], min_length=1, description="Fields of the API's products.")


def _schema_of(fields: Sequence[str]) -> dg.TableSchema:
    described = ((field, *PRODUCT_FIELDS.get(field, ("any", "As the API has it."))) for field in fields)
    return dg.TableSchema([dg.TableColumn(name, kind, text) for name, kind, text in described])


def _preview(rows: Sequence[dict[str, Any]], columns: dg.TableSchema) -> dg.TableMetadataValue:
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows[:PREVIEW]]
    return dg.MetadataValue.table(records, columns)


def _cell(value: Any) -> str | float | None:
    """A value as a table in the web interface can show it."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    code_version="1",
    retry_policy=RETRIES,
    io_manager_key="json_files",
    metadata={
        "dagster/uri": "file://<TAXI_HOME>/products/products_raw.json",
        "dagster/column_schema": _schema_of(list(PRODUCT_FIELDS)),
    },
)
def products_raw(config: Pages, products_api: ProductsApi) -> dg.MaterializeResult[list[Product]]:
    """The products as the API answers them, kept as a JSON file."""
    fetched = products_api.fetch(config.all_pages)
    return dg.MaterializeResult(value=fetched, metadata={"dagster/row_count": len(fetched)})


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    code_version="1",
    io_manager_key="json_files",
    metadata={
        "dagster/uri": "file://<TAXI_HOME>/products/products.json",
        "dagster/column_schema": _schema_of(["brand", "price"]),
    },
)
def products(
    context: dg.AssetExecutionContext, config: Columns, products_raw: list[Product]
) -> dg.MaterializeResult[list[Product]]:
    """The products with the columns asked for, and `N/A` where a product lacks one."""
    for column in config.columns_to_keep:
        if all(product.get(column) is None for product in products_raw):
            context.log.warning(f"No product has a column {column!r}.")
    kept = [{column: _value(product, column) for column in config.columns_to_keep} for product in products_raw]
    columns = _schema_of(list(kept[0]))
    return dg.MaterializeResult(
        value=kept,
        metadata={
            "dagster/row_count": len(kept),
            "dagster/column_schema": columns,
            "preview": _preview(kept, columns),
        },
    )


def _value(product: Product, column: str) -> Any:
    value = product.get(column)
    return LACKING if value is None else value


BY_BRAND = """
    create or replace table products_by_brand as
    select brand, round(avg(price), 2) as avg_price
    from kept_products
    group by brand
    order by avg_price desc nulls last, brand
"""
BY_BRAND_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("brand", "varchar", f"Who makes the products; {LACKING} for those without a brand."),
        dg.TableColumn("avg_price", "double", "Mean price of the brand's products in US dollars, rounded to cents."),
    ]
)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb", "sql"},
    code_version="1",
    metadata={"dagster/table_name": "products.main.products_by_brand", "dagster/column_schema": BY_BRAND_COLUMNS},
)
def products_by_brand(products: list[Product], products_duckdb: DuckDBFile) -> dg.MaterializeResult:
    """The mean price by brand, dearest first: a table in the DuckDB file, exchanged as a whole."""
    if missing := {"brand", "price"} - products[0].keys():
        raise BadSetting(
            f"The asset products was made without {' and '.join(sorted(missing))}.",
            "A rerun does not help: materialize products with brand and price among columns_to_keep.",
        )
    # A product without a price counts for no mean, but its brand is listed.
    rows = [(row["brand"], None if row["price"] == LACKING else row["price"]) for row in products]
    with products_duckdb.get_connection() as connection:
        connection.execute("create temp table kept_products (brand varchar, price double)")
        connection.executemany("insert into kept_products values (?, ?)", rows)
        connection.execute(BY_BRAND)
        answer = connection.execute("from products_by_brand").fetchall()
    brands = [{"brand": brand, "avg_price": price} for brand, price in answer]
    return dg.MaterializeResult(
        metadata={"dagster/row_count": len(brands), "preview": _preview(brands, BY_BRAND_COLUMNS)}
    )
