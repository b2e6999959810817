"""The products API: pages, and answers that are refused."""

from pathlib import Path
from typing import Any

import pytest

from taxi_platform.demo.sample_products import TOTAL, sample_page, write_sample_products
from taxi_platform.errors import BadAnswer, SourceUnavailable
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform_tests.support.api_server import Answer, Asked, api_server


def paged(asked: Asked) -> Answer:
    """As the real API: the query chooses the page."""
    return Answer(sample_page(int(asked.query.get("skip", 0)), int(asked.query.get("limit", 30))))


def fetch(body: Any) -> list[dict[str, Any]]:
    with api_server(lambda _: Answer(body)) as server:
        return ProductsApi(url=f"{server.url}/products", timeout=5).fetch()


def test_by_default_one_request_and_the_first_thirty() -> None:
    with api_server(paged) as server:
        products = ProductsApi(url=f"{server.url}/products").fetch()
    assert [product["id"] for product in products] == list(range(1, 31))
    assert [asked.target for asked in server.asked] == ["/products"]
    assert sum("brand" not in product for product in products) == 15


def test_all_pages_bring_each_product_once() -> None:
    with api_server(paged) as server:
        products = ProductsApi(url=f"{server.url}/products").fetch(all_pages=True)
    assert [product["id"] for product in products] == list(range(1, TOTAL + 1))
    assert len(server.asked) == 3


def test_an_api_that_repeats_its_first_page_is_found_out() -> None:
    with api_server(lambda _: Answer(sample_page())) as server, pytest.raises(BadAnswer, match="after 30 products"):
        ProductsApi(url=server.url).fetch(all_pages=True)


def test_pages_that_end_too_early_are_found_out() -> None:
    def answer(asked: Asked) -> Answer:
        skip = int(asked.query.get("skip", 0))
        return Answer(sample_page() if skip == 0 else {"products": [], "total": TOTAL, "skip": skip})

    with api_server(answer) as server, pytest.raises(BadAnswer, match="empty list"):
        ProductsApi(url=server.url).fetch(all_pages=True)


def test_all_pages_need_a_total() -> None:
    page = {key: value for key, value in sample_page().items() if key != "total"}
    with api_server(lambda _: Answer(page)) as server, pytest.raises(BadAnswer, match="`total`"):
        ProductsApi(url=server.url).fetch(all_pages=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "maintenance"}, "no list `products`"),
        ([1, 2], "no list `products`"),
        ("products", "no list `products`"),
        ({"products": {"1": {}}}, "no list `products`"),
        ({"products": []}, "empty list"),
        ({"products": [{"price": 1}, "pear"]}, "not an object, number 2"),
        ({"products": [{"price": 1}, {"price": "9.99"}]}, "not a number: '9.99', product 2"),
        ({"products": [{"price": True}]}, "not a number: True"),
        ({"products": [{"price": [1]}]}, "not a number"),
        (b'{"products": [{"price": 1e999}]}', "not a number: inf"),
    ],
)
def test_an_answer_without_proper_products_is_refused(body: Any, words: str) -> None:
    with pytest.raises(BadAnswer, match=words):
        fetch(body)


def test_a_product_may_lack_its_price() -> None:
    assert fetch({"products": [{"id": 1}, {"id": 2, "price": None}]}) == [{"id": 1}, {"id": 2, "price": None}]


def test_a_file_url_is_read(tmp_path: Path) -> None:
    file = write_sample_products(tmp_path / "my products")
    assert len(ProductsApi(url=file.as_uri()).fetch()) == 30
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        ProductsApi(url=(tmp_path / "none.json").as_uri()).fetch()


def test_the_address_comes_from_the_setting_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    api = ProductsApi()
    with api_server(paged) as server:
        monkeypatch.setenv("TAXI_PRODUCTS_URL", f"{server.url}/elsewhere")
        assert len(api.fetch()) == 30
    assert server.asked[0].path == "/elsewhere"


def test_a_real_answer_is_taken(real_files: Path) -> None:
    file = real_files.parent / "products" / "products.json"
    if not file.exists():
        pytest.skip(f"no real answer of the products API: {file} is not there")
    products = fetch(file.read_bytes())
    assert len(products) == 30
    assert sum(product.get("brand") is None for product in products) == 15
