"""A made-up colour with other column names, another order and a column of its own, registered by one entry.

Import it in an interpreter of its own, before anything imports the partitions; `print_report` then loads a month of
that colour into every destination and prints what it finds there, as JSON.
"""

import json
from pathlib import Path

from taxi_platform.trips.columns import COLOURS, Colour, Column, Kind

_DRIVER = Column("Driver", Kind.TEXT, "Who drove.")
_START = Column("started_at", Kind.TIME, "When the trip began, New York local time.")
_END = Column("ended_at", Kind.TIME, "When the trip ended, New York local time.")
_PRICE = Column("price", Kind.NUMBER, "Price in US dollars.")
_DOGS = Column("dogs", Kind.CODE, "Number of dogs.")
_TREATS = Column("treats", Kind.NUMBER, "Treats for the dogs, in US dollars.", since="2020-05")
PURPLE = Colour(
    "purple",
    columns=(_PRICE, _END, _DOGS, _START, _DRIVER, _TREATS),
    pickup=_START,
    dropoff=_END,
    row_id=(_DRIVER, _START, _END, _PRICE),
    short_row_id=(_DRIVER, _START, _END),
)
COLOURS["purple"] = PURPLE

import dagster as dg  # noqa: E402

from taxi_platform.definitions import defs  # noqa: E402
from taxi_platform.demo.sample_trips import write_sample  # noqa: E402
from taxi_platform.destinations.registry import DESTINATIONS  # noqa: E402
from taxi_platform.trips.partitions import TripMonth  # noqa: E402


def print_report(mirror: str) -> None:
    """Publish two generated months in the folder `mirror`, load them everywhere, and print what was loaded.

    The file of the second month has the optional column, the first one lacks it.
    """
    report = {"schedules": [each.name for each in defs.schedules or ()], "checks": {}, "errors": [], "files": []}
    for month in map(TripMonth.from_key, ("purple|2020-04", "purple|2020-05")):
        report["files"].append(write_sample(Path(mirror), month, rows=200).name)
        with dg.DagsterInstance.ephemeral() as instance:
            result = defs.resolve_job_def("load_month").execute_in_process(
                partition_key=month.key, instance=instance, raise_on_error=False
            )
        for check in result.get_asset_check_evaluations():
            report["checks"][f"{month.month} {check.asset_key.to_user_string()} {check.check_name}"] = check.passed
        report["errors"] += [str(each.step_failure_data.error) for each in result.all_events if each.is_step_failure]
    for destination in DESTINATIONS:
        loaded = destination.loaded_months(destination.resources({}), PURPLE)
        report[destination.name] = {each.key: record.rows_in_table for each, record in loaded.items()}
        report[f"{destination.name} columns"] = sorted(
            {name.lower() for record in loaded.values() for name in record.columns}
        )
    print(json.dumps(report))
