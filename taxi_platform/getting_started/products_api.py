"""The products API: its pages of products, checked.

Not here: which columns are kept and what is computed from them; that is `assets.getting_started`.
"""

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg

from taxi_platform.errors import BadAnswer, SourceUnavailable
from taxi_platform.getting_started.json_api import decode, get_json
from taxi_platform.settings import Settings
from taxi_platform.source.http_client import safe_url

Product = dict[str, Any]


class ProductsApi(dg.ConfigurableResource):
    """Where the products come from: an http, https or file URL whose answer has the form of dummyjson.com's."""

    url: str | None = None
    """None: TAXI_PRODUCTS_URL."""
    timeout: float = 30.0
    """Seconds, for the connection and for each silence after it."""

    def fetch(self, all_pages: bool = False) -> list[Product]:
        """The first page of products (30 of them, at dummyjson.com), or all pages.

        Raises BadAnswer when the answer does not hold products as it should, SourceUnavailable when there is none.
        """
        url = self.url or Settings().products_url
        answer = self._ask(url)
        products = _products_in(answer, url)
        page_size = len(products)
        while all_pages and len(products) < _total_in(answer, url):
            answer = self._ask(url, limit=page_size, skip=len(products))
            page = _products_in(answer, url)
            if answer.get("skip") != len(products):
                raise _bad(url, f"has no page that begins after {len(products)} products")
            products += page
        return products

    def _ask(self, url: str, **page: int) -> Any:
        if urlsplit(url).scheme != "file":
            return get_json(url, timeout=self.timeout, params=page)
        try:
            content = Path(url2pathname(urlsplit(url).path)).read_bytes()
        except OSError as error:
            raise SourceUnavailable(
                f"{safe_url(url)} cannot be read: {error.strerror}.",
                "A rerun helps once TAXI_PRODUCTS_URL names a file.",
            ) from None
        return decode(content, safe_url(url))


def _products_in(answer: Any, url: str) -> list[Product]:
    """The answer's products. An empty page is refused too: it would take the place of good ones."""
    products = answer.get("products") if isinstance(answer, dict) else None
    if not isinstance(products, list):
        raise _bad(url, "has no list `products`")
    if not products:
        raise _bad(url, "has an empty list `products`")
    for number, product in enumerate(products, 1):
        if not isinstance(product, dict):
            raise _bad(url, f"has a product that is not an object, number {number} of the list")
        price = product.get("price")
        if price is not None and not _is_number(price):
            raise _bad(url, f"has a price that is not a number: {price!r}, product {number} of the list")
    return products


def _total_in(answer: Any, url: str) -> int:
    total = answer.get("total")
    if not isinstance(total, int):
        raise _bad(url, "does not say how many products there are in `total`")
    return total


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bad(url: str, what: str) -> BadAnswer:
    return BadAnswer(
        f"The answer of {safe_url(url)} {what}.",
        "A rerun helps once the API answers properly; what was made from its last good answer is kept.",
    )
