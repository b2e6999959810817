"""The job `purge_files`, which removes downloaded files that every configured destination has loaded."""

import dagster as dg

from taxi_platform.automation.new_months import RESOURCE_KEYS, resources_of
from taxi_platform.destinations.base import Resources
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.errors import NotLoaded
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth, trip_partitions


@dg.op(required_resource_keys={"raw_files", *RESOURCE_KEYS})
def purge_file(context: dg.OpExecutionContext) -> None:
    """Remove the month's file from disk if every configured destination has loaded this version of it."""
    raw_files: RawFiles = context.resources.raw_files
    month = TripMonth.from_key(context.partition_key)
    file = raw_files.find(month)
    if file is not None:
        require_loaded(file, resources_of(context.resources))
    freed = raw_files.remove(month)
    context.log.info(f"{month}: {freed:,} bytes freed" if freed else f"{month}: no file on disk")
    context.add_output_metadata({"bytes_freed": freed})


def require_loaded(file: RawFile, resources: Resources) -> None:
    """Raise NotLoaded, naming the destinations, if one has not loaded the version of the file that is on disk."""
    lacking = []
    for destination in DESTINATIONS:
        if destination.is_scheduled(resources):
            record = destination.loaded_months(resources, file.month.colour).get(file.month)
            if record is None or record.sha256 != file.sha256:
                lacking.append(destination.name)
    if lacking:
        raise NotLoaded(
            f"{file.path} was not removed: {file.month} is not loaded from it in {' and '.join(lacking)}.",
            f"Materialize the partition '{file.month}', then purge it again.",
        )


@dg.job(partitions_def=trip_partitions)
def purge_files() -> None:
    """Remove the downloaded files of months that every configured destination has loaded; they can be downloaded again.

    A file that does not match its record is removed too.
    """
    purge_file()
