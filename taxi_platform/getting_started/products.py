"""The products pipeline: three assets on pandas and DuckDB.

products_raw ──► products ──► products_by_brand
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from taxi_platform.errors import BadSetting
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.json_files import records
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform.lazy_import import LazyModule
from taxi_platform.trips.trip_asset import OWNERS, retries

if TYPE_CHECKING:
    import pandas as pd
    from pandas import DataFrame
else:
    # Dagster evaluates annotations at import, but only a run of this pipeline needs pandas.
    pd, DataFrame = LazyModule("pandas"), Any

RETRIES = retries(1, times=2)

MISSING = "N/A"
PREVIEW_ROWS = 20

FIELDS = {
    "id": ("integer", "Number of the product."),
    "title": ("string", "Name of the product."),
    "category": ("string", "Kind of product."),
    "brand": ("string", "Brand; about half of the products have none."),
    "price": ("number", "Price in US dollars."),
    "rating": ("number", "Mean of the buyers' ratings, from 1 to 5."),
    "stock": ("integer", "Number of pieces in stock."),
}
"""Types and descriptions of the fields that matter; the API returns more."""

BY_BRAND = """
    create or replace table products_by_brand as
    select cast(brand as varchar) as brand, round(avg(price), 2) as avg_price
    from products
    group by all
    order by avg_price desc nulls last, brand
"""
BY_BRAND_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("brand", "varchar", f"Brand of the products; {MISSING} for products without one."),
        dg.TableColumn("avg_price", "double", "Mean price of the brand's products in US dollars, rounded to cents."),
    ]
)


class Pages(dg.Config):
    """How many pages of products to request."""

    all_pages: bool = Field(default=False, description="Request all pages. Otherwise only the first one, 30 products.")


class Columns(dg.Config):
    """Which columns of the products to keep."""

    columns_to_keep: list[str] = Field(
        default=["brand", "price"], min_length=1, description="Fields of the API's products."
    )


def _schema(columns: Iterable[str]) -> dg.TableSchema:
    described = ((column, *FIELDS.get(column, ("any", "As the API returns it."))) for column in columns)
    return dg.TableSchema([dg.TableColumn(*column) for column in described])


def _table_metadata(frame: DataFrame, schema: dg.TableSchema) -> dict[str, Any]:
    """Return the number of rows, the columns and the first rows, for the web interface."""
    rows = records(frame.head(PREVIEW_ROWS))
    # A cell of the web interface's table cannot hold a list or an object.
    cells = [{name: str(v) if isinstance(v, list | dict) else v for name, v in row.items()} for row in rows]
    return {
        "dagster/row_count": len(frame),
        "dagster/column_schema": schema,
        "preview": dg.MetadataValue.table([dg.TableRecord(row) for row in cells], schema),
    }


@dg.asset(
    owners=OWNERS,
    kinds={"pandas", "json"},
    code_version="2",
    retry_policy=RETRIES,
    io_manager_key="json_files",
    metadata={
        "dagster/uri": "file://<TAXI_HOME>/products/products_raw.json",
        "dagster/column_schema": _schema(FIELDS),
    },
)
def products_raw(config: Pages, products_api: ProductsApi) -> dg.MaterializeResult[DataFrame]:
    """The products with all their fields, as the products API returns them."""
    fetched = pd.DataFrame(products_api.fetch(config.all_pages))
    return dg.MaterializeResult(value=fetched, metadata={"dagster/row_count": len(fetched)})


@dg.asset(
    owners=OWNERS,
    kinds={"pandas", "json"},
    code_version="2",
    io_manager_key="json_files",
    metadata={
        "dagster/uri": "file://<TAXI_HOME>/products/products.json",
        "dagster/column_schema": _schema(["brand", "price"]),
    },
)
def products(
    context: dg.AssetExecutionContext, config: Columns, products_raw: DataFrame
) -> dg.MaterializeResult[DataFrame]:
    """The products with the chosen columns, and `N/A` for missing values."""
    kept = products_raw.reindex(columns=list(dict.fromkeys(config.columns_to_keep)))
    for column in kept.columns[kept.isna().all()]:
        context.log.warning(f"No product has a column {column!r}.")
    # As objects, because pandas 3 warns when text is filled into a column of numbers.
    filled = kept.astype(object).where(kept.notna(), MISSING)
    return dg.MaterializeResult(value=filled, metadata=_table_metadata(filled, _schema(filled.columns)))


@dg.asset(
    owners=OWNERS,
    kinds={"pandas", "duckdb"},
    code_version="2",
    metadata={"dagster/table_name": "products.main.products_by_brand", "dagster/column_schema": BY_BRAND_COLUMNS},
)
def products_by_brand(products: DataFrame, products_duckdb: DuckDBFile) -> dg.MaterializeResult:
    """The mean price of each brand, highest first: a DuckDB table that each run replaces as a whole."""
    if missing := {"brand", "price"}.difference(products.columns):
        raise BadSetting(
            f"The asset products has no column {' and '.join(sorted(missing))}.",
            "Materialize products with brand and price in columns_to_keep.",
        )
    # A product without a price is left out of the mean, but its brand is listed.
    priced = products.assign(price=pd.to_numeric(products["price"], errors="coerce"))
    with products_duckdb.get_connection() as connection:
        connection.register("products", priced).execute(BY_BRAND)
        by_brand = connection.table("products_by_brand").df()
    return dg.MaterializeResult(metadata=_table_metadata(by_brand, BY_BRAND_COLUMNS))
