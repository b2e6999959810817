"""The tutorial's definitions, alone and merged with the platform's."""

import dagster as dg

from taxi_platform.definitions import build_defs
from taxi_platform.getting_started.definitions import tutorial_defs
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform.webhook import Webhook


def test_tutorial_needs_only_the_webhook() -> None:
    webhook = dg.Definitions(resources={"webhook": Webhook()})
    dg.Definitions.validate_loadable(dg.Definitions.merge(tutorial_defs({}), webhook))


def test_given_resource_replaces_default() -> None:
    api = ProductsApi(url="file:///none")
    resources = build_defs(products_api=api).resources
    assert resources
    assert resources["products_api"] is api
