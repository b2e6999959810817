"""Invented products in the form of the products API's answers, for a demonstration without a network and for tests.

Not here: the real API's products; none of these exists.
"""

import json
from pathlib import Path
from typing import Any

TOTAL = 90
PAGE_SIZE = 30
BRANDS = ("Aldergrove", "Bramble & Sons", "Copperfield", "Dunmore", "Elmhurst", "Foxglove")
CATEGORIES = ("beauty", "fragrances", "furniture", "groceries")


def sample_page(skip: int = 0, limit: int = PAGE_SIZE) -> dict[str, Any]:
    """The API's answer that begins after `skip` products; TOTAL says how many there are."""
    numbers = range(skip, min(skip + limit, TOTAL))
    return {"products": [_product(number) for number in numbers], "total": TOTAL, "skip": skip, "limit": len(numbers)}


def write_sample_products(folder: Path) -> Path:
    """Writes the first page as `products.json`, whose file URL TAXI_PRODUCTS_URL takes; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "products.json"
    file.write_text(json.dumps(sample_page(), indent=1), encoding="utf-8")
    return file


def _product(number: int) -> dict[str, Any]:
    """Of each thirty, the second fifteen have no brand, as it is with the real ones."""
    product = {
        "id": number + 1,
        "title": f"Sample product {number + 1}",
        "category": CATEGORIES[number * len(CATEGORIES) // TOTAL],
        "price": number * 37 % 400 + 0.99,
        "rating": number % 5 + 0.5,
        "stock": number * 7 % 100,
    }
    if number % PAGE_SIZE < 15:
        product["brand"] = BRANDS[number % len(BRANDS)]
    return product
