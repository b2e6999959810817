"""The resource for the products API: requests pages of products and validates them."""

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg
from pydantic import Field

from taxi_platform.errors import BadAnswer, SourceUnavailable
from taxi_platform.getting_started.json_api import decode, get_json
from taxi_platform.settings import Settings
from taxi_platform.source.http_client import safe_url

Product = dict[str, Any]


class ProductsApi(dg.ConfigurableResource):
    """A products API whose responses have the form of dummyjson.com's, or a file with such a response."""

    url: str | None = Field(default=None, description="http, https or file URL. Default: TAXI_PRODUCTS_URL.")
    timeout: float = Field(default=30.0, description="Seconds to wait for a connection, and for more data after that.")

    def fetch(self, all_pages: bool = False) -> list[Product]:
        """Return the first page of products (30 of them, at dummyjson.com), or all pages.

        Raise BadAnswer if a response does not hold valid products, SourceUnavailable if there is no response.
        """
        url = self.url or Settings().products_url
        response = self._get(url)
        products = _products_in(response, url)
        page_size = len(products)
        while all_pages and len(products) < _total_in(response, url):
            response = self._get(url, limit=page_size, skip=len(products))
            page = _products_in(response, url)
            if response.get("skip") != len(products):
                raise _bad(url, f"has no page that begins after {len(products)} products")
            products += page
        return products

    def _get(self, url: str, **page: int) -> Any:
        if urlsplit(url).scheme != "file":
            return get_json(url, timeout=self.timeout, params=page)
        try:
            content = Path(url2pathname(urlsplit(url).path)).read_bytes()
        except OSError as error:
            raise SourceUnavailable(
                f"{safe_url(url)} cannot be read: {error.strerror}.", "Set TAXI_PRODUCTS_URL to a file that exists."
            ) from None
        return decode(content, safe_url(url))


def _products_in(response: Any, url: str) -> list[Product]:
    """Return the response's products. An empty page is invalid too: it would replace valid products."""
    products = response.get("products") if isinstance(response, dict) else None
    if not isinstance(products, list):
        raise _bad(url, "has no list `products`")
    if not any(products):
        raise _bad(url, "has an empty list `products`")
    for number, product in enumerate(products, 1):
        if not isinstance(product, dict):
            raise _bad(url, f"has a product that is not an object, number {number} of the list")
        price = product.get("price")
        if price is not None and not _is_number(price):
            raise _bad(url, f"has a price that is not a number: {price!r}, product {number} of the list")
    return products


def _total_in(response: Any, url: str) -> int:
    total = response.get("total")
    if not isinstance(total, int):
        raise _bad(url, "has no whole number `total`")
    return total


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bad(url: str, problem: str) -> BadAnswer:
    return BadAnswer(
        f"The response of {safe_url(url)} {problem}.",
        "Materialize products_raw again once the API works; until then the assets keep their last valid data.",
    )
