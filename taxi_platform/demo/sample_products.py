"""Generated products in the form of the products API's responses, for the demo and for tests."""

import json
from pathlib import Path
from typing import Any

TOTAL = 90
PAGE_SIZE = 30
BRANDS = ("Aldergrove", "Bramble & Sons", "Copperfield", "Dunmore", "Elmhurst", "Foxglove")
CATEGORIES = ("beauty", "fragrances", "furniture", "groceries")


def sample_page(skip: int = 0, limit: int = PAGE_SIZE) -> dict[str, Any]:
    """Return the API's response that begins after `skip` of TOTAL products."""
    numbers = range(skip, min(skip + limit, TOTAL))
    return {"products": [_product(number) for number in numbers], "total": TOTAL, "skip": skip, "limit": len(numbers)}


def write_sample_products(folder: Path) -> Path:
    """Write the first page as `products.json`, and return its path. TAXI_PRODUCTS_URL accepts its file URL."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "products.json"
    file.write_text(json.dumps(sample_page(), indent=1), encoding="utf-8")
    return file


def _product(number: int) -> dict[str, Any]:
    """Return a product. Of each thirty, the second fifteen have no brand, as about half of the real ones."""
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
