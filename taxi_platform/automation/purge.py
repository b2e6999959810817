"""Clearing away: the job `purge_files`, which removes the downloaded files of chosen months.

Not here: where the files lie (`io_managers.raw_files`), which are loaded (`legs`).
"""

import dagster as dg

from taxi_platform.destinations.base import Leg, legs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import NotLoaded
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth, trip_partitions


@dg.op
def purge_file(
    context: dg.OpExecutionContext,
    raw_files: dg.ResourceParam[RawFiles],
    postgres: Postgres,
    gcs: GoogleStorage,
    bigquery: GoogleBigQuery,
) -> None:
    """Removes the month's file from the disk, if every destination that is set up holds it in this version."""
    month = TripMonth.from_key(context.partition_key)
    file = raw_files.find(month)
    if file is not None:
        demand_loaded(file, legs(postgres, gcs, bigquery))
    freed = raw_files.remove(month)
    context.log.info(f"{month}: {freed:,} bytes freed" if freed else f"{month}: nothing was there")
    context.add_output_metadata({"bytes_freed": freed})


def demand_loaded(file: RawFile, destinations: list[Leg]) -> None:
    """Raises NotLoaded, naming the destinations that do not hold the file in the version that is on the disk."""
    lacking = []
    for leg in destinations:
        load = leg.loaded(file.month.colour).get(file.month)
        if load is None or load.sha256 != file.sha256:
            lacking.append(leg.name)
    if lacking:
        raise NotLoaded(
            f"{file.path} was not removed: {file.month} is not loaded from it in {' and '.join(lacking)}.",
            f"A rerun helps once it is: materialize the partition '{file.month}', then purge it again.",
        )


@dg.job(partitions_def=trip_partitions)
def purge_files() -> None:
    """Removes downloaded files of the chosen months, never one that is not loaded yet; they can be fetched again.

    A file that does not fit its record is of no use to anybody, and is removed too.
    """
    purge_file()
