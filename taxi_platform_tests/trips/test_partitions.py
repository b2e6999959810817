import pytest

from taxi_platform.errors import BadPartition
from taxi_platform.trips.partitions import TripMonth


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("purple|2020-03", "'purple' is not a taxi colour"),
        ("2020-03", "'2020-03' is not a taxi colour"),
        ("green", "'' is not one of its months"),
        ("green|2018-12", "'2018-12' is not one of its months"),
        ("green|2222-01", "'2222-01' is not one of its months"),
        ("green|2020-13", "'2020-13' is not one of its months"),
        ("green|2020-3", "'2020-3' is not one of its months"),
    ],
)
def test_unknown_partition_key_is_permanent_error(key, problem):
    with pytest.raises(BadPartition) as caught:
        TripMonth.from_key(key)

    assert problem in str(caught.value)
    assert not caught.value.allow_retries


def test_partition_key_round_trip():
    assert TripMonth.from_key("green|2020-03").partition_key == "green|2020-03"
