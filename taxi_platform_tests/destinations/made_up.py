"""A made-up destination, registered by one entry: a folder with one JSON file for each loaded month.

Import it in an interpreter of its own, before anything imports the definitions; `print_report` then prints what the
platform made of the entry, as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.destinations import registry
from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.destinations.figures import Figures
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.load_record import LoadedMonth, LoadRecord
from taxi_platform.trips.partitions import TripMonth
from taxi_platform.trips.trip_asset import retries, trip_asset


class Shelf(dg.ConfigurableIOManager):
    """The folder."""

    folder: str = "shelf"

    def path(self, month: TripMonth) -> Path:
        return Path(self.folder) / month.colour.name / f"{month.month}.json"

    def handle_output(self, context: dg.OutputContext, obj: LoadedMonth) -> None:
        path = self.path(obj.month)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(obj.record.to_json())

    def load_input(self, context: dg.InputContext) -> LoadedMonth:
        month = TripMonth.from_key(context.asset_partition_key)
        record = LoadRecord.from_json(self.path(month).read_text())
        assert record is not None
        return LoadedMonth(month, record)


@trip_asset(group_name="shelf", kinds={"json"}, io_manager_key="shelf", metadata={}, retry_policy=retries(1))
def shelf_tripdata(raw_csv: RawFile) -> LoadedMonth:
    """The month's load record, without any rows."""
    return LoadedMonth(raw_csv.month, LoadRecord(sha256=raw_csv.sha256, rows=raw_csv.rows, out_of_month=0))


class ShelfDestination(Destination):
    """The made-up destination."""

    name = "shelf"
    assets = (shelf_tripdata,)
    checks = (month_checks(shelf_tripdata, frozenset(), lambda _, loaded: Counted(loaded.record.rows, 0)),)
    resource_keys = frozenset({"shelf"})

    def resources(self, given: Resources) -> dict[str, Any]:
        return {"shelf": given.get("shelf") or Shelf()}

    def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        folder = Path(resources["shelf"].folder) / colour.name
        records = {TripMonth(colour, path.stem): LoadRecord.from_json(path.read_text()) for path in folder.glob("*")}
        return {month: record for month, record in records.items() if record is not None}

    def figures(self, resources: Resources, loaded: LoadedMonth, columns: Sequence[Column]) -> Figures:
        return Figures(loaded.record.rows, {}, 0)


SHELF = ShelfDestination()
registry.DESTINATIONS = (*registry.DESTINATIONS, SHELF)

from taxi_platform.automation.backfill.runner import Backfill  # noqa: E402
from taxi_platform.automation.new_months import RESOURCE_KEYS  # noqa: E402
from taxi_platform.cli import main  # noqa: E402
from taxi_platform.definitions import build_defs  # noqa: E402

defs = build_defs()


def print_report() -> None:
    """Print what the platform made of the entry; loads two months by a backfill in between."""
    resources = {name: each for name, each in (defs.resources or {}).items() if name in RESOURCE_KEYS}
    at = datetime(2021, 7, 1, tzinfo=UTC)
    with dg.DagsterInstance.get() as instance:
        with dg.build_schedule_context(
            instance, at, resources=resources, repository_def=defs.get_repository_def()
        ) as context:
            requests = defs.resolve_schedule_def("green_schedule").evaluate_tick(context).run_requests or []
        months = [TripMonth.from_key(f"green|2020-0{number}") for number in (3, 4)]
        with Backfill(SHELF, resources, months, workers=1, definitions=__name__) as backfill:
            outcomes = list(backfill.run(instance))
        freshness = defs.resolve_job_def("freshness").execute_in_process(instance=instance)
    option = next(param for param in main.commands["backfill"].params if param.name == "destination")
    report = {
        "groups": sorted({str(spec.group_name) for spec in defs.resolve_all_asset_specs()}),
        "checks": sorted(key.name for key in defs.resolve_asset_graph().asset_check_keys),
        "schedule requests": [sorted(key.to_user_string() for key in each.asset_selection or ()) for each in requests],
        "choices": list(getattr(option.type, "choices", ())),
        "backfill": [(each.month.key, each.rows, each.error) for each in outcomes],
        "freshness": {
            check.check_name: check.passed
            for check in freshness.get_asset_check_evaluations()
            if check.asset_key == SHELF.table
        },
    }
    print(json.dumps(report))
