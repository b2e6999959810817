"""The products API: pages, and responses that are refused."""

from pathlib import Path
from typing import Any

import pytest

from taxi_platform.demo.sample_products import TOTAL, sample_page, write_sample_products
from taxi_platform.errors import BadAnswer, SourceUnavailable
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform_tests.support.api_server import ApiRequest, ApiResponse, api_server


def page(request: ApiRequest) -> ApiResponse:
    """Return the page that the query names, as the real API does."""
    return ApiResponse(sample_page(int(request.query.get("skip", 0)), int(request.query.get("limit", 30))))


def fetch(body: Any, *, all_pages: bool = False) -> list[dict[str, Any]]:
    with api_server(lambda _: ApiResponse(body)) as server:
        return ProductsApi(url=f"{server.url}/products", timeout=60).fetch(all_pages)


def test_first_page_is_one_request() -> None:
    with api_server(page) as server:
        products = ProductsApi(url=f"{server.url}/products").fetch()
    assert [product["id"] for product in products] == list(range(1, 31))
    assert [request.target for request in server.requests] == ["/products"]


def test_all_pages_return_each_product_once() -> None:
    with api_server(page) as server:
        products = ProductsApi(url=f"{server.url}/products").fetch(all_pages=True)
    assert [product["id"] for product in products] == list(range(1, TOTAL + 1))
    assert len(server.requests) == 3


def test_repeated_first_page_is_refused() -> None:
    with pytest.raises(BadAnswer, match="no page that begins after 30 products"):
        fetch(sample_page(), all_pages=True)


def test_pages_that_end_early_are_refused() -> None:
    def respond(request: ApiRequest) -> ApiResponse:
        skip = int(request.query.get("skip", 0))
        return ApiResponse(sample_page() if skip == 0 else {"products": [], "total": TOTAL, "skip": skip})

    with api_server(respond) as server, pytest.raises(BadAnswer, match="empty list"):
        ProductsApi(url=server.url).fetch(all_pages=True)


def test_all_pages_require_a_total() -> None:
    with pytest.raises(BadAnswer, match="`total`"):
        fetch({"products": [{"id": 1}]}, all_pages=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "maintenance"}, "no list `products`"),
        ([1, 2], "no list `products`"),
        ("products", "no list `products`"),
        ({"products": {"1": {}}}, "no list `products`"),
        ({"products": []}, "empty list"),
        ({"products": [{}]}, "empty list"),
        ({"products": [{"price": 1}, "pear"]}, "not an object, number 2"),
        ({"products": [{"price": 1}, {"price": "9.99"}]}, "not a number: '9.99', product 2"),
        ({"products": [{"price": True}]}, "not a number: True"),
        ({"products": [{"price": [1]}]}, "not a number"),
        (b'{"products": [{"price": 1e999}]}', "not a number: inf"),
    ],
)
def test_response_without_valid_products_is_refused(body: Any, words: str) -> None:
    with pytest.raises(BadAnswer, match=words):
        fetch(body)


def test_product_may_lack_its_price() -> None:
    assert fetch({"products": [{"id": 1}, {"id": 2, "price": None}]}) == [{"id": 1}, {"id": 2, "price": None}]


def test_file_url_is_read(tmp_path: Path) -> None:
    file = write_sample_products(tmp_path / "my products")
    assert len(ProductsApi(url=file.as_uri()).fetch()) == 30
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        ProductsApi(url=(tmp_path / "none.json").as_uri()).fetch()


def test_default_url_is_the_setting_at_time_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    api = ProductsApi()
    with api_server(page) as server:
        monkeypatch.setenv("TAXI_PRODUCTS_URL", f"{server.url}/elsewhere")
        assert len(api.fetch()) == 30
    assert server.requests[0].path == "/elsewhere"
