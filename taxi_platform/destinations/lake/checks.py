"""The checks of `lake_parquet`, which count rows and notice files that were changed by hand."""

from typing import Any

from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.destinations.lake.assets import lake_parquet
from taxi_platform.destinations.lake.lake_files import file_path, is_unchanged, read_record
from taxi_platform.destinations.lake.merge import count_out_of_month, count_rows
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import snapshot
from taxi_platform.trips.load_record import LoadedMonth


def count(resources: Any, loaded: LoadedMonth) -> Counted:
    """Return the rows in the month's file; none if there is no file."""
    lake: Lake = resources.lake
    month = loaded.month
    with (
        lake.connect(f"check {month}") as connection,
        snapshot(lake, [file_path(lake.folder, month)]) as files,
    ):
        if not files:
            return Counted(rows=0, out_of_month=0, changed="The month's file was deleted.")
        record = read_record(connection, files[0])
        unchanged = record is not None and is_unchanged(files[0], record)
        return Counted(
            rows=count_rows(connection, files[0]),
            out_of_month=count_out_of_month(connection, files[0], month),
            changed=None if unchanged else "The month's file was changed by hand.",
        )


lake_checks = month_checks(lake_parquet, frozenset({"lake"}), count)
