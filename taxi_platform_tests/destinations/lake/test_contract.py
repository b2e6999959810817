"""The guarantees of the contract in the lake, and what belongs to the lake alone."""

from taxi_platform_tests.destinations.contract import Guarantees


class TestGuarantees(Guarantees):
    table = "green_tripdata"
