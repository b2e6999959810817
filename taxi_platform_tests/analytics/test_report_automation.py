"""When the report is requested, as Dagster evaluates its condition, with marts that only pretend to be built."""

from collections.abc import Callable

import dagster as dg
import pytest

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.report.asset import report_asset
from taxi_platform.definitions import build_defs
from taxi_platform.trips.partitions import trip_partitions

REPORT = dg.AssetKey("report")
ZONES, REVENUE, HOURS = (
    mart_key(MARTS[0], name) for name in ("dim_zones", "zone_revenue_by_file", "hourly_trips_by_file")
)


def mart(key: dg.AssetKey, work: Callable[[], object] = lambda: None) -> dg.AssetsDefinition:
    @dg.asset(key=key, partitions_def=None if key == ZONES else trip_partitions)
    def build() -> None:
        work()

    return build


class Daemon:
    """Evaluates the report's condition, each time from where the last evaluation ended."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        report = report_asset(MARTS)
        self.instance = instance
        self.defs = dg.Definitions(
            assets=[report, mart(ZONES), mart(REVENUE), mart(HOURS)],
            resources=build_defs().resources,
        )
        self.cursor = None

    def requests(self) -> int:
        result = dg.evaluate_automation_conditions(
            self.defs, instance=self.instance, asset_selection=dg.AssetSelection.assets(REPORT), cursor=self.cursor
        )
        self.cursor = result.cursor
        return result.get_num_requested(REPORT)

    def build(self, asset: dg.AssetsDefinition, partition: str | None = None) -> None:
        assert dg.materialize([asset], instance=self.instance, partition_key=partition).success


@pytest.fixture
def daemon(instance: dg.DagsterInstance) -> Daemon:
    return Daemon(instance)


def test_report_is_requested_once_when_a_mart_changed(daemon: Daemon) -> None:
    assert daemon.requests() == 0
    daemon.build(mart(REVENUE), "green|2020-04")
    assert [daemon.requests(), daemon.requests()] == [1, 0]
    daemon.build(mart(REVENUE), "green|2019-01")
    assert [daemon.requests(), daemon.requests()] == [1, 0]


def test_report_waits_until_no_mart_is_being_built(daemon: Daemon) -> None:
    assert daemon.requests() == 0
    daemon.build(mart(ZONES))
    during: list[int] = []
    daemon.build(mart(HOURS, lambda: during.append(daemon.requests())), "green|2020-04")
    assert during == [0]
    assert [daemon.requests(), daemon.requests()] == [1, 0]
